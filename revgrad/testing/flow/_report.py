"""The report of `revgrad.testing.check_flow`: what was seen, what it means, what to do."""

import re
import textwrap
from typing import Optional, Sequence, Tuple

from revgrad.testing.flow._diagnosis import Finding

# The kinds of a parameter without a gradient at this point, which shows nothing.
UNSEEN = ("unseen", "constant", "flat")

# As in a report. The last four say why nothing could be decided.
_TEXTS = """
right: the reversed gradient arrives at the features.
means: the reversal is between the features and the head.
do: Add this loss to the others; do not subtract it.

constant: the domain loss does not depend on the features, so there is no gradient.
means: the head ignores them. A softmax over one column is always 1; weights that are all zero, or a
sigmoid that is saturated everywhere, have the same effect.
do: Use a sigmoid with binary cross-entropy for one column, or a softmax over two, and check the
weights.

flat: the domain loss does not change near these features, so there is no gradient.
means: it consists of steps (argmax, round), dead relus or saturated sigmoids.
do: Compute it from the head's scores, not from its decisions; or try other features.

disconnected: the framework finds no connection from the domain loss to the features.
means: it is cut by stop_gradient, disconnected_grad or detach, or leaves the graph as a number.
do: Look for that. A reversal with λ = 0 is not the cause: its zeros are connected.

cut: no gradient arrives at the features, although the domain loss depends on them.
means: it is cut by stop_gradient, detach, argmax or round, or λ is 0 in the program.
do: Look for one of these, and check which λ the reversal was given.

unreversed: the gradient arrives unreversed.
means: there is no reversal between the features and the loss: it was left out, is in another
branch, or was lost when the model was exported, compiled, or rewritten before the gradient was
taken. The features learn to distinguish the domains.
do: Put revgrad.reverse(features, lam) before the head, and differentiate the graph as written, not
an exported or optimised one.

sign: the gradient arrives with the right size and the wrong sign.
means: there is one minus sign too many: λ was negated, or the gradient was negated as well.
do: Pass λ as a positive number; the reversal negates. Do not subtract this loss.

twice: the gradient arrives times +λ².
means: it passes two reversals, and the second undoes the first.
do: Remove one of them. Often one is in the head and one in the model around it.

scale: the gradient arrives reversed, with another λ.
means: the λ of the program was frozen when the program was built, is a schedule at another step, or
is applied twice; or part of the loss bypasses the reversal.
do: Compare the two. A λ that changes is a LambdaVariable, or an input of the program.

other: the gradient arrives with its own sign, and scaled.
means: it passes no reversal, or two, and something that scales it; or some paths are reversed.
do: Reverse the features once, before everything that leads to the domain loss.

frozen: the gradient does not follow the LambdaVariable.
means: its value was read while the program was built: lam.value, float(lam).
do: Pass the variable itself: revgrad.reverse(features, lam).

mixed: the gradient that arrives is not a multiple of the true one.
means: some of the paths to the loss pass no reversal, or one with another λ, or are cut.
do: Reverse the features once, before everything that leads to the domain loss.

after: the reversal is after the domain head, or inside it.
means: the weights before it are reversed too, so the domain classifier increases its own loss and
never learns to distinguish the domains.
do: Reverse the features, and give the result to the head: head(reverse(features, lam)).

head: the features get the right gradient, and a weight of the head does not.
means: the head does not learn from the gradient of its own loss.
do: Look for stop_gradient, detach or a reversal between that weight and the loss.

nonfinite: the loss or its gradient is not finite.
means: a logarithm of 0, a division by 0 or an overflow; this says nothing about the reversal.
do: Compute the loss from the scores (log-softmax, softplus), or clip; then check again.

unsteady: the loss differs each time it is computed.
means: something in it is random, such as dropout, or changes its state.
do: Switch dropout off (deterministic=True in Lasagne), and draw noise outside the loss.

digits: the loss changes by less than its precision.
means: it has too few digits, or its slope is nearly zero at these features.
do: Compute all of it in float64; or use other features, or a smaller batch.

borders: the loss is inf or nan nearby.
means: they are at the boundary of its domain, such as a logarithm of 0.
do: Compute it from the scores (log-softmax, softplus), or use other features.

kinks: the slope of the loss differs from step to step.
means: it has a kink (a relu, a maximum, a clip) or a sharp bend at these features.
do: Use other features, away from whole numbers and zeros; or float64, with smaller steps.
"""
EXPLANATIONS = {}
for _text in _TEXTS.split("\n\n"):
    _kind, _words = " ".join(_text.split()).split(": ", 1)
    EXPLANATIONS[_kind] = re.split(" (?:means|do): ", _words)


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
    parameters = [(f"parameters[{i}]", each) for i, each in enumerate(heads)]
    kind, what, finding = features.kind, "the features", features
    if kind == "right":
        wrong = [each for each in parameters if each[1].kind not in ("right", *UNSEEN)]
        if any(each.kind == "after" for each in heads):
            kind = "after"
        elif wrong:
            what, finding = wrong[0]
            kind = "undecided" if finding.kind == "undecided" else "head"
        elif heads and all(each.kind in UNSEEN for each in heads):
            kind, what, finding = "undecided", "the parameters", heads[0]
    if kind in ("undecided", "unseen"):
        kind, why = "undecided", EXPLANATIONS.get(finding.detail, EXPLANATIONS["digits"])
        title, means, do = f"undecided for {what}: {why[0]}", why[1], why[2]
    else:
        title, means, do = EXPLANATIONS[kind]
    if kind == "other":
        kind = "unreversed"
    elif kind == "unreversed" and lam == 1:
        do += " Or, as λ is 1, it passes two reversals, or one minus sign too many: try another λ."
    elif kind == "right":
        if not heads:
            means = (
                "the position of the reversal was not checked: one after the domain head looks the "
                "same from here, and reverses the head's own weights too. Pass them as "
                "parameters=[w, b], and write domain_loss(features, w, b)."
            )
        if not lam:
            title = "λ is 0, and no gradient arrives at the features, as it must be."
            do = "Check again with λ above 0: a gradient that is cut looks the same with λ = 0."
        elif variable is not None:
            now = "It holds 0 now, and was set to 1 for the check. " if variable == 0 else ""
            means = f"the gradient follows the LambdaVariable. {now}{means[0].upper()}{means[1:]}"
    parts = [f"{kind}: {title}", f"  seen:  features: {_seen(features, 0.0 - lam)}"]
    parts += [f"  seen:  {name}: {_seen(each, 1.0)}" for name, each in parameters]
    return kind, "\n".join(map(_filled, [*parts, f"  means: {means}", f"  do:    {do}"]))


def _seen(finding: Finding, expected: float) -> str:
    if finding.kind in ("undecided", "unseen"):
        return f"unclear; it must be {expected:.4g} times the true gradient"
    return finding.detail or (
        f"{finding.ratio:.4g} times the true gradient (to {100 * finding.error:.1g} %); "
        f"it must be {expected:.4g} times"
    )


def _filled(text: str) -> str:
    whole = text.replace("features, ", "features,\0")  # code stays on one line
    lines = textwrap.fill(whole, 88, subsequent_indent=" " * 9, break_on_hyphens=False)
    return lines.replace("\0", " ")
