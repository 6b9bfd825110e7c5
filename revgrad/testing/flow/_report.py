"""The report of `revgrad.testing.check_flow`: what was seen, what it means, what to do."""

from __future__ import annotations

import textwrap
from typing import Optional, Sequence, Tuple

from revgrad.testing.flow._diagnosis import Finding

ADD = "Add this loss to the others; do not subtract it."

UNSEEN = ("unseen", "constant", "flat")
"""The kinds of a parameter without a gradient at this point, which shows nothing."""

NOT_LOOKED_AT = (
    "the position of the reversal was not checked: one after the domain head looks the same "
    "from here, and reverses the head's own weights too. Pass them as parameters=[w, b], and "
    "write domain_loss(features, w, b)."
)

UNDECIDED = {
    "unsteady": (
        "the loss differs each time it is computed.",
        "something in it is random, such as dropout, or changes its state.",
        "Switch dropout off (deterministic=True in Lasagne), and draw noise outside the loss.",
    ),
    "digits": (
        "the loss changes by less than its precision.",
        "it has too few digits, or its slope is nearly zero at these features.",
        "Compute in float64: features, weights and loss. Or use other features, or a smaller "
        "batch, in which each sample has more weight.",
    ),
    "borders": (
        "the loss is inf or nan nearby.",
        "they are at the boundary of its domain, such as a logarithm of 0.",
        "Compute it from the scores (log-softmax, softplus), or use other features.",
    ),
    "kinks": (
        "the slope of the loss differs from step to step.",
        "it has a kink (a relu, a maximum, a clip) or a sharp bend at these features.",
        "Use other features, away from whole numbers and zeros, or compute in float64, which "
        "allows smaller steps.",
    ),
}

EXPLANATIONS = {
    "constant": (
        "the domain loss does not depend on the features, so there is no gradient.",
        "the head ignores them. A softmax over one column is always 1; weights that are all zero, "
        "or a sigmoid that is saturated everywhere, have the same effect.",
        "Use a sigmoid with binary cross-entropy for one column, or a softmax over two, and check "
        "the weights.",
    ),
    "flat": (
        "the domain loss does not change near these features, so there is no gradient.",
        "it consists of steps (argmax, round, a comparison), or of relus that are all dead or "
        "sigmoids that are saturated here.",
        "Compute the loss from the head's scores, not from its decisions; otherwise try other "
        "features and smaller weights.",
    ),
    "disconnected": (
        "the framework finds no connection from the domain loss to the features.",
        "the loss depends on them, so the gradient is cut: by stop_gradient, disconnected_grad or "
        "detach, or because a value left the graph and came back as a number.",
        "Look for it between the features and the loss. A reversal with λ = 0 is not the cause: "
        "its zeros are connected.",
    ),
    "cut": (
        "no gradient arrives at the features, although the domain loss depends on them.",
        "the gradient is cut by stop_gradient, disconnected_grad, detach, argmax or round, or λ "
        "is 0 in the program.",
        "Look for one of these between the features and the loss, and check which λ the reversal "
        "was given.",
    ),
    "unreversed": (
        "the gradient arrives unreversed.",
        "there is no reversal between the features and the loss: it was left out, is in another "
        "branch, or was lost when the model was exported, compiled, or rewritten before the "
        "gradient was taken. The features learn to distinguish the domains.",
        "Put revgrad.reverse(features, lam) before the head, and differentiate the graph as "
        "written, not an exported or optimised one.",
    ),
    "sign": (
        "the gradient arrives with the right size and the wrong sign.",
        "there is one minus sign too many: λ was negated, or the gradient was negated as well.",
        "Pass λ as a positive number; the reversal negates. " + ADD,
    ),
    "twice": (
        "the gradient arrives times +λ².",
        "it passes two reversals, and the second undoes the first.",
        "Remove one of them. Often one is in the head and one in the model around it.",
    ),
    "scale": (
        "the gradient arrives reversed, with another λ.",
        "the λ of the program differs from the one given here: it was frozen when the program was "
        "built, it is a schedule at another step, it is applied twice, or part of the loss "
        "bypasses the reversal.",
        "Compare the two. A λ that changes is a revgrad.LambdaVariable, or an input of the "
        "program.",
    ),
    "other": (
        "the gradient arrives with its own sign, and scaled.",
        "it passes no reversal, or two, and something that scales it; or it takes several paths, "
        "not all of them reversed.",
        "Reverse the features once, before everything that leads to the domain loss, and look for "
        "what scales the gradient.",
    ),
    "frozen": (
        "the gradient does not follow the LambdaVariable.",
        "its value was read while the program was built (lam.value, float(lam)), so λ is a "
        "constant of the program.",
        "Pass the variable itself: revgrad.reverse(features, lam).",
    ),
    "mixed": (
        "the gradient that arrives is not a multiple of the true one.",
        "only some of the paths from the features to the loss pass the reversal, or they pass "
        "reversals with different λ, or one path is cut.",
        "Reverse the features once, before everything that leads to the domain loss.",
    ),
    "nonfinite": (
        "the loss or its gradient is not finite.",
        "a logarithm of 0, a division by 0 or an overflow; this says nothing about the reversal.",
        "Compute the loss from the scores (log-softmax, softplus), or clip; then check again.",
    ),
}

AFTER = (
    "the reversal is after the domain head, or inside it.",
    "the weights before it are reversed too, so the domain classifier increases its own loss and "
    "never learns to distinguish the domains.",
    "Reverse the features, and give the result to the head: head(reverse(features, lam)).",
)

HEAD = (
    "the features get the right gradient, and a weight of the head does not.",
    "the head does not learn from the gradient of its own loss.",
    "Look for stop_gradient, detach or a reversal between that weight and the loss.",
)


def report(
    features: Finding, heads: Sequence[Finding], lam: float, variable: Optional[float]
) -> Tuple[str, str]:
    """Return the kind and the text of a report.

    Parameters
    ----------
    features : Finding
        What arrives at the features.
    heads : sequence of Finding
        What arrives at each parameter of the head.
    lam : float
        λ, as it was when the slopes were measured.
    variable : float, optional
        The value of the `LambdaVariable`, if there is one.

    Returns
    -------
    tuple of str
        The kind, one of those listed under `revgrad.testing.check_flow`, and the report.
    """
    kind, (title, means, do) = _diagnose(features, heads, lam, variable)
    parts = [f"{kind}: {title}", f"  seen:  {_seen('features', features, 0.0 - lam)}"]
    parts += [f"  seen:  {_seen(f'parameters[{i}]', each, 1.0)}" for i, each in enumerate(heads)]
    parts += [f"  means: {means}", f"  do:    {do}"]
    return kind, "\n".join(_filled(part) for part in parts)


def _diagnose(
    features: Finding, heads: Sequence[Finding], lam: float, variable: Optional[float]
) -> Tuple[str, Tuple[str, str, str]]:
    kind = features.kind
    if kind in ("undecided", "unseen"):
        return "undecided", _undecided("the features", features)
    if kind == "other":
        return "unreversed", EXPLANATIONS["other"]
    if kind == "unreversed" and lam == 1:
        title, means, do = EXPLANATIONS["unreversed"]
        more = "Or, as λ is 1, it passes two reversals, or one minus sign too many: try another λ."
        return kind, (title, means, f"{do} {more}")
    if kind != "right":
        return kind, EXPLANATIONS[kind]
    kinds = [each.kind for each in heads]
    if "after" in kinds:
        return "after", AFTER
    for i, each in enumerate(heads):
        if each.kind not in ("right", "undecided", *UNSEEN):
            return "head", HEAD
        if each.kind == "undecided":
            return "undecided", _undecided(f"parameters[{i}]", each)
    if heads and "right" not in kinds:
        return "undecided", _undecided("the parameters", heads[0])
    title = "the reversed gradient arrives at the features."
    means = "the reversal is between the features and the head." if heads else NOT_LOOKED_AT
    do = ADD
    if not lam:
        title = "λ is 0, and no gradient arrives at the features, as it must be."
        do = "Check again with λ above 0: a gradient that is cut looks the same with λ = 0."
    elif variable is not None:
        now = "It holds 0 now, and was set to 1 for the check. " if variable == 0 else ""
        means = f"the gradient follows the LambdaVariable. {now}{means[0].upper()}{means[1:]}"
    return kind, (title, means, do)


def _undecided(what: str, finding: Finding) -> Tuple[str, str, str]:
    seen, means, do = UNDECIDED.get(finding.detail, UNDECIDED["digits"])
    return f"undecided for {what}: {seen}", means, do


def _seen(what: str, finding: Finding, expected: float) -> str:
    if finding.detail in UNDECIDED:
        return f"{what}: unclear; it must be {expected:.4g} times the true gradient"
    if finding.ratio is None or finding.detail:
        return f"{what}: {finding.detail}"
    return (
        f"{what}: {finding.ratio:.4g} times the true gradient (to {100 * finding.error:.1g} %); "
        f"it must be {expected:.4g} times"
    )


def _filled(text: str) -> str:
    whole = text.replace("features, ", "features,\0")  # code stays on one line
    lines = textwrap.fill(whole, 88, subsequent_indent=" " * 9, break_on_hyphens=False)
    return lines.replace("\0", " ")
