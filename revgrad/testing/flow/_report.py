"""The words of `revgrad.testing.check_flow`: what was seen, what it means, what to do."""

from __future__ import annotations

import textwrap
from typing import Optional, Sequence, Tuple

from revgrad.testing.flow._diagnosis import Finding

ADD = "Add this loss to the others; do not subtract it."

UNSEEN = ("unseen", "constant", "flat")
"""What a parameter may be where it has no gradient at this point, and shows nothing."""

NOT_LOOKED_AT = (
    "where the reversal lies was not looked at: one after the domain head looks the same from "
    "here, and turns the head's own weights too. Pass them as parameters=[w, b], and write "
    "domain_loss(features, w, b)."
)

UNDECIDED = {
    "unsteady": (
        "the loss is another number each time it is computed.",
        "something in it is random, dropout for instance, or changes its own state.",
        "Switch dropout off (deterministic=True in Lasagne), and draw noise before, not inside.",
    ),
    "digits": (
        "the loss changes by less than its last digits show.",
        "it has too few digits, or its slope is nearly zero at these features.",
        "Compute in float64: features, weights and loss. Or take other features, or a smaller "
        "batch, of which each sample weighs more.",
    ),
    "borders": (
        "the loss is inf or nan close to them.",
        "they lie at the border of where it is defined, a logarithm of 0 for instance.",
        "Compute it from the scores (log-softmax, softplus), or take other features.",
    ),
    "kinks": (
        "the slope of the loss differs from step to step.",
        "it has a kink (a relu, a maximum, a clip) or a sharp bend at these features.",
        "Take other features, away from whole numbers and zeros, or compute in float64, where "
        "smaller steps fit between the kinks.",
    ),
}

WORDS = {
    "constant": (
        "the domain loss does not depend on the features, so there is no gradient.",
        "the head throws them away. A softmax over one column is 1 whatever it is given; weights "
        "that are all zero, or a sigmoid that is saturated everywhere, do the same.",
        "Use a sigmoid with binary cross-entropy for one column, or a softmax over two, and look "
        "at the weights.",
    ),
    "flat": (
        "the domain loss does not change near these features, so there is no gradient.",
        "it is made of steps (argmax, round, a comparison), or of relus that are all dead or "
        "sigmoids that are saturated at this point.",
        "Take the loss of the head's scores, not of its decisions; else try other features and "
        "smaller weights.",
    ),
    "disconnected": (
        "the framework knows of no way from the domain loss back to the features.",
        "the loss depends on them, so the way is cut: by stop_gradient, disconnected_grad, detach, "
        "or because a value was taken out of the graph and put in again as a number.",
        "Look for it between the features and the loss. A reversal with λ = 0 is not the cause: "
        "it gives zeros, which are connected.",
    ),
    "cut": (
        "no gradient arrives at the features, though the domain loss depends on them.",
        "the way back is cut by stop_gradient, disconnected_grad, detach, argmax or round, or λ "
        "is 0 in the program.",
        "Look for one of these between the features and the loss, and for the λ that the reversal "
        "was really given.",
    ),
    "unreversed": (
        "the gradient arrives unreversed.",
        "there is no reversal between the features and the loss: it was left out, stands in "
        "another branch, or was lost when the model was exported, compiled, or rewritten before "
        "the gradient was taken. The features learn to tell the domains apart.",
        "Write revgrad.reverse(features, lam) in front of the head, and take the gradient of the "
        "graph as you wrote it, not of an exported or optimised one.",
    ),
    "sign": (
        "the gradient arrives with the size of λ and the wrong sign.",
        "there is a minus too many: a λ that was negated, or a minus that was put in front of "
        "the gradient as well.",
        "Pass λ as a positive number, once; the reversal brings its own minus. " + ADD,
    ),
    "twice": (
        "the gradient arrives times +λ².",
        "it passes two reversals, and the second turns it back.",
        "Take one of them out: it is easily in the head and in the model around it.",
    ),
    "scale": (
        "the gradient arrives reversed, by another λ.",
        "the program has another λ than the one given here: one that was frozen when the program "
        "was built, a schedule at another step, λ applied twice, or a way around the reversal.",
        "Compare the two. A λ that changes is a revgrad.LambdaVariable, or an input of the "
        "program.",
    ),
    "other": (
        "the gradient arrives with its own sign, and scaled.",
        "it passes no reversal, or two, and something that scales it; or it takes several ways, "
        "not all of them reversed.",
        "Reverse the features once, in front of everything that leads to the domain loss, and "
        "look for what scales the gradient there.",
    ),
    "frozen": (
        "the gradient does not follow the LambdaVariable.",
        "its value was taken while the program was built (lam.value, float(lam)), so λ is a "
        "constant there and stays what it was.",
        "Pass the variable itself: revgrad.reverse(features, lam).",
    ),
    "mixed": (
        "the gradient that arrives is no multiple of the true one.",
        "only some of the ways from the features to the loss pass the reversal, or they pass "
        "reversals with different λ, or one way is cut.",
        "Reverse the features once, in front of everything that leads to the domain loss.",
    ),
    "nonfinite": (
        "the loss or its gradient is not finite.",
        "a logarithm of 0, a division by 0 or an overflow; it says nothing about the reversal.",
        "Compute the loss from the scores (log-softmax, softplus), or clip; then check again.",
    ),
}

AFTER = (
    "the reversal lies after the domain head, or inside it.",
    "the weights in front of it are reversed too, so the domain classifier climbs its own loss "
    "and never learns to tell the domains apart.",
    "Reverse the features, and give the result to the head: head(reverse(features, lam)).",
)

HEAD = (
    "the features are right, and a weight of the head is not.",
    "the head does not learn by the gradient of its own loss.",
    "Look for stop_gradient, detach or a reversal between that weight and the loss.",
)


def report(
    features: Finding, heads: Sequence[Finding], lam: float, variable: Optional[float]
) -> Tuple[str, str]:
    """Return the kind and the words of a flow.

    Parameters
    ----------
    features : Finding
        What arrives at the features.
    heads : sequence of Finding
        What arrives at each parameter of the head.
    lam : float
        λ, as it was when the slopes were measured.
    variable : float, optional
        What the `LambdaVariable` holds, if there is one.

    Returns
    -------
    tuple of str
        The kind, as `revgrad.testing.check_flow` lists them, and the report.
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
        return "unreversed", WORDS["other"]
    if kind == "unreversed" and lam == 1:
        title, means, do = WORDS["unreversed"]
        more = "Or, as λ is 1, it passes two reversals, or a minus too many: try another λ."
        return kind, (title, means, f"{do} {more}")
    if kind != "right":
        return kind, WORDS[kind]
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
    means = "the reversal lies between the features and the head." if heads else NOT_LOOKED_AT
    do = ADD
    if not lam:
        title = "λ is 0, and no gradient arrives at the features, as it must."
        do = "Check once more with λ above 0: a way that is cut looks the same with λ = 0."
    elif variable is not None:
        now = "It holds 0 now, and was set to 1 for the check. " if variable == 0 else ""
        means = f"the gradient follows the LambdaVariable. {now}{means[0].upper()}{means[1:]}"
    return kind, (title, means, do)


def _undecided(what: str, finding: Finding) -> Tuple[str, str, str]:
    seen, means, do = UNDECIDED.get(finding.detail, UNDECIDED["digits"])
    return f"nothing can be said about {what}: {seen}", means, do


def _seen(what: str, finding: Finding, expected: float) -> str:
    if finding.detail in UNDECIDED:
        return f"{what}: not clear; it must be {expected:.4g} times the true gradient"
    if finding.ratio is None or finding.detail:
        return f"{what}: {finding.detail}"
    return (
        f"{what}: {finding.ratio:.4g} times the true gradient (to {100 * finding.error:.1g} %); "
        f"it must be {expected:.4g} times"
    )


def _filled(text: str) -> str:
    whole = text.replace("features, ", "features,\0")  # what is code stays on one line
    lines = textwrap.fill(whole, 88, subsequent_indent=" " * 9, break_on_hyphens=False)
    return lines.replace("\0", " ")
