"""The name of a cost: one value, one text, one meaning in every command, wrapper, row and report; free of torch.

::

    l1                                   pixels at the same place
    corr-l1                              the paper's loss: flow scaling, epsilon 0.1, over the learned flow
    corr-l1:flow=dis                     the same over another flow
    corr-l1:flow=all-pairs,form=reg      the paper's regularised form
    corr-l1:form=disp,displacement=0.05  displacement counted in pixels, with another weight
    recommended                          the default of planning, corr-l1:form=disp
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from corrwise.costs.option_text import Value, check_known, option_pairs, read_value, written
from corrwise.costs.presets import (
    BASES,
    DEFAULT_FLOW,
    FORMS,
    LPIPS,
    NAMED_FLOWS,
    NUMBERS,
    PERCEPTUAL,
    PRESETS,
    SHIFT_TOLERANT,
    Option,
)
from corrwise.user_code import is_user_code
from corrwise.validation import did_you_mean

if TYPE_CHECKING:
    import torch

    from corrwise.types import Distance

__all__ = ["BASE_NAMES", "RECOMMENDED", "CostSpec", "as_distance"]

RECOMMENDED = "recommended"
BASE_NAMES = (*BASES, PERCEPTUAL, LPIPS)  # the last two have weights
_HEADS = (*BASE_NAMES, *(f"corr-{base}" for base in BASE_NAMES))
_VGG = "IMAGENET1K_V1"  # the weights of the perceptual distance, where none are named
_OPTIONS = {  # of any cost between matched pixels
    "epsilon": Option(float, high=1.0),
    "magnitude": Option(float),
    "gradient": Option(float),
    "smoothness": Option(float),
    "displacement": Option(float),
    "power": Option(float, low=1.0),
    "occlusion": Option(float),
}
_DIRECTIONS = Option(int, 2, choices=(1, 2))


@dataclass(frozen=True)
class CostSpec:
    """What an image cost is made of: equal costs are equal, and ``str`` gives the text that ``parse`` reads.

    Attributes:
        base: the base distance, a name in ``BASE_NAMES``.
        flow: the flow that matches the pixels, a name in ``NAMED_FLOWS``; "" compares pixels at the same place.
        form: how displacement is counted, one of ``FORMS``; see ``Preset``.
        directions: 2, or 1 for the first direction alone, in which the second image is carried onto the first.
        vgg: weights of the perceptual distance, which is added to the base distance, see ``Perceptual``; "" adds none.
        options: the numbers of the form and the options of the flow, by name; those that have their default are left
            out.

    Raises:
        ValueError: an unknown name, a number out of range, or an option that belongs to another form or flow.
    """

    base: str = "l1"
    flow: str = ""
    form: str = "scaled"
    directions: int = 2
    vgg: str = ""
    options: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        """Check the parts, and bring the options into the one form that they have."""
        check_known("cost", self.base, BASE_NAMES)
        if self.flow:
            check_known("flow", self.flow, NAMED_FLOWS)
        check_known("form", self.form, FORMS)
        _DIRECTIONS.check("directions", self.directions)
        if self.directions == 1 and self.form == "disp":
            raise ValueError("form=disp compares both directions, got directions=1")
        given = dict(self.options)
        if len(given) < len(self.options):
            raise ValueError(f"expected each option once, got {' '.join(name for name, _ in self.options)}")
        foreign = [*given, *(name for name, value, default in self._plain_parts[:2] if value != default)]
        if foreign and not self.flow:
            raise ValueError(f"{foreign[0]} needs a cost between matched pixels, corr-{self.base}, got {self.base}")
        known = self.known_options()
        for name, value in given.items():
            if name not in known:
                raise ValueError(self._not_an_option(name, known))
            known[name].check(name, value)
        kept = tuple(
            (name, each.kind(given[name]))
            for name, each in known.items()
            if name in given and given[name] != each.default
        )
        object.__setattr__(self, "options", kept)
        if self.base == PERCEPTUAL and self.vgg == _VGG:
            object.__setattr__(self, "vgg", "")

    @classmethod
    def parse(cls, text: str, *, flow: str = DEFAULT_FLOW) -> CostSpec:
        """Return the cost that a text names.

        Args:
            text: such as ``corr-l1:flow=dis,epsilon=0.2``; spaces, ``,`` and ``%`` in a value are written as ``%20``,
                ``%2C`` and ``%25``.
            flow: the flow of a cost between matched pixels whose text names none.

        Raises:
            ValueError: the text names no cost; the message lists those that are known.
        """
        if not isinstance(text, str) or not text:
            raise ValueError(f"expected the name of a cost, such as corr-l1:flow=dis, got {text!r}")
        if any(letter.isspace() or not letter.isprintable() for letter in text):
            raise ValueError(f"expected a cost without spaces, which a value writes as %20, got {text!r}")
        if is_user_code(text) and text.partition(":")[0] not in (*_HEADS, RECOMMENDED):
            raise ValueError(
                f"expected the name of a cost, got {text!r}: code of your own is named so on the command line and in "
                "plan(); in Python import it, and use the distance itself"
            )
        head, colon, rest = text.partition(":")
        given = option_pairs(text, rest) if colon else {}
        if head == RECOMMENDED:
            if given:
                raise ValueError(f"{RECOMMENDED} takes no options; write them behind corr-l1:form=disp, got {text!r}")
            return cls("l1", DEFAULT_FLOW, "disp")
        base = head.removeprefix("corr-")
        if base not in BASE_NAMES:
            raise ValueError(_unknown(head, text))
        fixed: dict[str, Any] = {"vgg": given.pop("vgg")} if "vgg" in given else {}
        if head == base:
            for name in given:
                raise ValueError(f"{name} needs a cost between matched pixels, corr-{base}, got {text!r}")
            return cls(base, **fixed)
        fixed |= {name: given.pop(name) for name in ("flow", "form", "directions") if name in given}
        fixed = {"flow": flow, **fixed}
        if "directions" in fixed:
            fixed["directions"] = read_value("directions", fixed["directions"], _DIRECTIONS)
        bare = cls(base, **fixed)
        known = bare.known_options()
        for name in given:
            if name not in known:
                raise ValueError(bare._not_an_option(name, known))
        return replace(
            bare, options=tuple((name, read_value(name, value, known[name])) for name, value in given.items())
        )

    def __str__(self) -> str:
        """Return the text, without what is the default."""
        if self == _DEFAULT:
            return RECOMMENDED
        given: dict[str, Value] = {"flow": self.flow} if self.flow not in ("", DEFAULT_FLOW) else {}
        given |= {name: value for name, value, default in self._plain_parts if value != default}
        given |= dict(self.options)
        text = ",".join(f"{name}={written(value)}" for name, value in given.items())
        return ("corr-" if self.flow else "") + self.base + (f":{text}" if text else "")

    @property
    def matched(self) -> bool:
        """Whether pixels are matched before they are compared."""
        return bool(self.flow)

    def settings(self) -> dict[str, Any]:
        """Return all that the name stands for, fit for JSON: numbers that the flow's preset chose among it.

        Weights are left out: networks are distinguished by their content, not by their path.
        """
        given: dict[str, Any] = {
            "base": self.base,
            **({"vgg": weights} if (weights := self.perceptual_weights) else {}),
        }
        if self.flow:
            numbers = {
                name: self._value(name, each) for name, each in self.known_options().items() if name != "weights"
            }
            given |= {"flow": self.flow, "form": self.form, "directions": self.directions, **numbers}
        return given

    def describe(self) -> str:
        """Return a sentence about what is compared, with all numbers and their units."""
        from corrwise.costs.description import described

        return described(self)

    def build(self, *, device: str | torch.device | None = None, detach_flow: bool = True) -> Distance:
        """Return the distance.

        Args:
            device: where weights are put; None leaves them on the CPU. All distances follow their inputs in any case.
            detach_flow: estimate the flow without gradients, see ``CorrespondenceWise``.

        Raises:
            FileNotFoundError, RuntimeError: weights are missing.
            ValueError: a file holds other weights, or ``detach_flow=False`` with a flow that has no gradients.
        """
        from corrwise.costs.building import built

        return built(self, device=device, detach_flow=detach_flow)

    @property
    def smallest(self) -> int:
        """The least side of an image in pixels."""
        flow = NAMED_FLOWS[self.flow].smallest if self.flow else 1
        vgg = SHIFT_TOLERANT.get(self.vgg, 16) if self.perceptual_weights else 1
        return max(flow, vgg, SHIFT_TOLERANT["st-alex"] if self.base == LPIPS else 1)

    @property
    def perceptual_weights(self) -> str:
        """The weights of the perceptual distance, see ``Perceptual``; "" without one."""
        return self.vgg or (_VGG if self.base == PERCEPTUAL else "")

    @property
    def _plain_parts(self) -> tuple[tuple[str, Value, Value], ...]:
        return ("form", self.form, "scaled"), ("directions", self.directions, 2), ("vgg", self.vgg, "")

    def known_options(self) -> dict[str, Option]:
        """Return the options of this form and this flow, with the defaults that they have together."""
        if not self.flow:
            return {}
        preset, flow = PRESETS[self.flow], NAMED_FLOWS[self.flow]
        numbers = {
            name: replace(_OPTIONS[name], default=getattr(preset, each)) for name, each in NUMBERS[self.form].items()
        }
        chosen = preset.options(self.form)
        return numbers | {
            name: replace(each, default=chosen.get(name.replace("-", "_"), each.default))
            for name, each in flow.options.items()
        }

    def _value(self, name: str, option: Option) -> Any:
        return dict(self.options).get(name, option.default)

    def _not_an_option(self, name: str, known: dict[str, Option]) -> str:
        there = ", ".join(["flow", "form", "directions", "vgg", *known])
        forms = [form for form in FORMS if name in NUMBERS[form]]
        flows = [flow for flow, each in NAMED_FLOWS.items() if name in each.options]
        if forms:
            why = f"{name} belongs to form {' or '.join(forms)}, and this is form {self.form}"
        elif flows:
            why = f"{name} belongs to flow {' or '.join(flows)}, and this is flow {self.flow}"
        else:
            why = f"unknown option {name!r}{did_you_mean(name.lower(), ['flow', 'form', 'directions', 'vgg', *known])}"
        return f"{why}; the options here are {there}"


def as_distance(distance: str | CostSpec | Distance, *, optimized: bool = False) -> Distance:
    """Return a distance, or the one that a cost's text or ``CostSpec`` stands for.

    Args:
        distance: or what stands for it.
        optimized: whether it is minimised by its gradient; the flow of a regularised form then has one, too.

    Raises:
        ValueError: the text names no cost, or a regularised form is to be minimised over a flow without a gradient.
    """
    if isinstance(distance, str):
        distance = CostSpec.parse(distance)
    if not isinstance(distance, CostSpec):
        return distance
    return distance.build(detach_flow=not optimized or distance.form == "scaled")


def _unknown(head: str, text: str) -> str:
    base, _, form = head.removeprefix("corr-").partition("-")
    if head.startswith("corr-") and base in BASE_NAMES and form in FORMS:
        return f"{head} is written corr-{base}:form={form}, got {text!r}"
    names = [*_HEADS, RECOMMENDED]
    return f"unknown cost {head!r}{did_you_mean(head.lower(), names)}; there are {', '.join(names)}"


_DEFAULT = CostSpec("l1", DEFAULT_FLOW, "disp")
