"""The laws on torch's own classes, and what an optimizer is recognised as."""

import math
from functools import partial

import pytest
import torch

from limitpoint import claims_of, evaluate, laws
from limitpoint.laws import Implementation, field
from limitpoint.recognition import recognise
from limitpoint.rivals.classes import ascents, averages, kinds, right, sam
from limitpoint.subjects import USUAL, Subject

LAWS = claims_of(paper="laws")
CLASSES = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop",
           "Rprop", "ASGD", "Muon", "LBFGS", "Adafactor")  # fmt: skip
HALF = {"zero-gradient-half": "an epsilon of 1e-8 is 0 in float16"}
#: What torch's own classes do not keep.
KNOWN = {
    **dict.fromkeys(("Adam", "AdamW", "NAdam", "Adamax", "RMSprop"), HALF),
    "Adagrad": {**HALF, "groups": "initial_accumulator_value is the constructor's for all groups"},
    "ASGD": {
        "paths": "eta is a float32 tensor: its paths differ by 1e-9 with a large lambd",
        "determinism": "eta is a tensor of the default dtype, which may be bfloat16",
    },
}


@pytest.mark.parametrize("name", CLASSES)
def test_torchs_own_classes_keep_the_laws(name):
    subject = Subject.from_object("optimizer", getattr(torch.optim, name))
    records = [evaluate(law, [subject]) for law in LAWS]
    failed = {record.name: record.reason for record in records if record.failed}
    assert set(failed) == set(KNOWN.get(name, {})), failed


@pytest.mark.parametrize(
    ("made", "options", "roles"),
    [
        (torch.optim.SGD, {"lr": 1.0}, {"gd", "gd-decay", "momentum"}),
        (torch.optim.SGD, {"momentum": 0.9, "lr": 0.01}, {"momentum"}),
        (torch.optim.AdamW, {}, {"adam", "adamw"}),
        (sam.SAM, {}, {"sam-l2", "dnsam"}),
        (torch.optim.RMSprop, {}, {"rmsprop"}),
        (torch.optim.RMSprop, {"centered": True, "momentum": 0.9}, {"rmsprop"}),
        (right.Lion, {}, {"lion"}),
        (averages._Inside, {}, set()),
    ],
)
def test_the_roles_that_fit_are_found(made, options, roles):
    found = recognise(Subject.from_object("optimizer", made, **options))
    assert set(found.roles) == roles


def test_a_miss_says_what_it_is_instead():
    lines = list(recognise(Subject.from_object("optimizer", sam.SAM)).lines())
    assert "role usam: no: rather SAM with a normalised perturbation" in lines
    assert "second gradient in a step: yes" in lines


def test_the_place_of_epsilon_is_told():
    facts = recognise(Subject.from_object("optimizer", averages._Inside)).facts
    assert facts["first step, of Adam's kin"] == "eps inside the root"


def test_a_class_that_cannot_be_run_is_inconclusive():
    class Refuses(right.Adam):
        def apply(self, p, d, group):
            raise TypeError("two tensors, please")

    subject = Subject.from_object("optimizer", Refuses)
    record = evaluate(LAWS[0], [subject])
    assert record.verdict == "inconclusive"
    assert "could not be run as it is: it raised TypeError" in record.reason


class Centralised(right.SGD):
    """Gradients less the mean of their row: right, and no rule of entries."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        return g - g.mean(tuple(range(1, g.ndim)), keepdim=True) if g.ndim > 1 else g


@pytest.mark.parametrize("name", ["shapes", "symmetry", "cut", "product"])
def test_a_rule_of_rows_is_not_taken_for_one_of_entries(name):
    (law,) = (one for one in LAWS if one.id == f"laws/{name}")
    record = evaluate(law, [Subject.from_object("optimizer", Centralised)])
    assert not record.failed, record.reason


def test_a_state_by_address_is_read():
    class ByAddress(right.SGD):
        def buffer(self, p, d, group):
            return self.state[id(p)].setdefault("b", d.clone())

    training = Implementation.of(ByAddress, {"momentum": 0.9}).train(field(0)).go(1)
    assert training.state() == {}


@pytest.mark.parametrize("factor", [0.99, 1.0, 1.01])
def test_what_a_decay_multiplies_by_is_measured(factor):
    steps, path = torch.ones(3, 4).double(), [torch.arange(1, 5).double()]
    for step in steps:
        path.append(factor * path[-1] + step)
    found = laws.factors(torch.stack(path), steps)
    torch.testing.assert_close(found, torch.full((3,), factor).double())
    assert laws.factors(torch.stack(path), steps * torch.arange(4)) is None


@pytest.mark.parametrize("name", ["Rprop", "Adafactor"])
def test_what_raises_on_shards_is_told_with_its_line(name):
    (law,) = (one for one in LAWS if one.id == "laws/sharded")
    record = evaluate(law, [Subject.from_object("optimizer", getattr(torch.optim, name))])
    assert record.verdict == "not-applicable"
    assert "sharded tensors (it raised RuntimeError at step 0: aten." in record.reason


class OfTwoDtypes(torch.optim.SGD):
    """Mixes a tensor of the default dtype with one of float32: no step in another default dtype."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.kept = None

    def step(self, closure=None):
        self.kept = torch.tensor(1.0) if self.kept is None else self.kept
        self.kept.lerp_(torch.tensor(0.5).float(), 0.1)
        return super().step(closure)


def test_a_class_need_not_take_another_default_dtype():
    (law,) = [law for law in LAWS if law.id == "laws/determinism"]
    record = evaluate(law, [Subject.from_object("optimizer", OfTwoDtypes)])
    assert record.verdict == "supported", record.reason


class PhasesAlone(sam.SAM):
    """The SAM of docs/judge.md: its phases are called, and its step says so."""

    def step(self, closure=None):
        raise NotImplementedError("call first_step and second_step")


class WantsClosure(right.SGD):
    """SAM's usual `step(closure=None)`, which does not go without one."""

    def step(self, closure=None):
        assert closure is not None, "a closure, please"
        return super().step(closure)


class Counted(right.SGD):
    """Some schedule of its own count of steps."""

    pace = staticmethod(lambda t: min(1.0, t / 4))

    def __init__(self, params, lr=0.01, momentum=0.9):
        super().__init__(params, lr, momentum)

    def add_param_group(self, group):
        t = self.param_groups[0]["t"] if self.param_groups else 0
        super().add_param_group({"t": t, **group})

    def begin(self, group):
        group["t"] += 1

    def apply(self, p, d, group):
        super().apply(p, d, {**group, "lr": group["lr"] * self.pace(group["t"])})


class Slow(Counted):
    """A schedule of hundreds of steps."""

    pace = staticmethod(lambda t: (1 + math.cos(t / 100)) / 2)


class Multiplies(right.Hooked):
    """A share of each entry (Madam): what is 0 stays so by definition."""

    def __init__(self, params, lr=0.01, p_scale=3.0):
        super().__init__(params, {"lr": lr, "p_scale": p_scale, "weight_decay": 0.0})

    def apply(self, p, d, group):
        p.mul_(torch.exp(-group["lr"] * d.sign() * p.sign()))


class FromStart(right.SGD):
    """A radius of 1 + |w_0| (DoG), which for no two factors of the weights has one power."""

    def begin(self, group):
        start = torch.cat([p.reshape(-1) for p in group["params"]]).norm()
        group.setdefault("radius", 1 + float(start))

    def apply(self, p, d, group):
        p.sub_(group["lr"] * group["radius"] * d)


class InFloat32(right.Muon):
    """Newton and Schulz in float32, as packages have it: another order in memory, other sums."""

    def __init__(self, params, lr=0.01, scale=1.0):
        super().__init__(params, lr)

    def direction(self, p, b):
        x = self.matrix(b).float()
        x = x / (x.norm() + 1e-7)
        for _ in range(5):
            a = x @ x.mT
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        return x.reshape(p.shape).to(p.dtype)


class VectorsAside(sam.SAM):
    """Only vectors climb where there are some (SAM-ON), matrices where there are none."""

    def __init__(self, params, rho=0.5, only_norm=True, lr=0.01):
        self.only_norm = only_norm
        super().__init__(params, rho=rho, lr=lr)

    def weighted(self, p, group):
        return super().weighted(p, group) * (p.ndim < 2)

    def climb(self, p, group, factor):
        return super().climb(p, group, factor) * (p.ndim < 2)


class NoDecayOfVectors(right.AdamW):
    """Biases do not decay: as people have it in groups."""

    def __init__(self, params, lr=0.01, weight_decay=0.1):
        super().__init__(params, lr, weight_decay=weight_decay)

    def decayed(self, p, d, group):
        return super().decayed(p, d, group) if p.ndim > 1 else d


class Eigenbasis(right.Adam):
    """Squares in the first gradient's eigenbasis (SOAP), of which rounding decides a part."""

    def averages(self, s, d, group):
        if "q" not in s:
            s["q"] = torch.linalg.eigh((d @ d.mT).double())[1].to(d.dtype)
        s["m"].lerp_(d, 0.1)
        s["v"].mul_(0.9).addcmul_(s["q"].mT @ d, s["q"].mT @ d, value=0.1)

    def update(self, s, t, d, group):
        return s["q"] @ ((s["q"].mT @ s["m"]) / (s["v"].sqrt() + group["eps"]))


class InBackward(right.SGD):
    """Steps in a hook on each gradient, as torch's tutorial has it, with the groups of today."""

    def add_param_group(self, group):
        super().add_param_group(group)
        for p in self.param_groups[-1]["params"]:
            p.register_post_accumulate_grad_hook(partial(self.now, len(self.param_groups) - 1))

    def now(self, group, p):
        group = self.param_groups[group]
        with torch.no_grad():
            self.apply(p, self.decayed(p, self.gradient(p, group), group), group)
        p.grad = None

    def step(self, closure=None):
        return self.call(closure)


@pytest.mark.parametrize(
    ("made", "law", "verdict"),
    [
        (PhasesAlone, "closure", "not-applicable"),
        (WantsClosure, "closure", "supported"),
        (WantsClosure, "resume", "supported"),
        (Counted, "late-gradient", "supported"),
        (Counted, "instances", "supported"),
        (Slow, "late-gradient", "supported"),
        (Slow, "instances", "supported"),
        (Multiplies, "zero-gradient", "supported"),
        (FromStart, "weights", "not-applicable"),
        (InFloat32, "shapes", "supported"),
        (VectorsAside, "shapes", "supported"),
        (NoDecayOfVectors, "shapes", "supported"),
        (Eigenbasis, "precision", "supported"),
        (InBackward, "closure", "supported"),
        (InBackward, "groups", "supported"),
        (InBackward, "late-gradient", "supported"),
        (InBackward, "resume", "supported"),
        (InBackward, "loss-scaling", "not-applicable"),
    ],
)
def test_what_is_right_by_its_own_definition_is_not_refuted(made, law, verdict):
    (law,) = (one for one in LAWS if one.id == f"laws/{law}")
    record = evaluate(law, [Subject.from_object("optimizer", made)])
    assert record.verdict == verdict, record.reason


class CountsTheGroup(right.Adam):
    """The bias corrected by the group's count: no pace, for nobody feels it but who comes late."""

    def begin(self, group):
        group["t"] = self.now = group.get("t", 0) + 1

    def tick(self, s):
        return self.now


@pytest.mark.parametrize(
    ("made", "options", "paced"),
    [
        (Counted, {}, True),
        (Slow, {}, True),
        (CountsTheGroup, {}, False),
        (CountsTheGroup, {"amsgrad": True}, False),
        (Multiplies, {}, False),
        (torch.optim.SGD, {"momentum": 0.9}, False),
        (torch.optim.RAdam, {}, False),
        (torch.optim.Adagrad, {}, False),
        (torch.optim.Rprop, {}, False),
    ],
)
def test_a_pace_is_told_from_a_memory(made, options, paced):
    assert laws.Structure(Implementation.of(made, options)).paced == paced


@pytest.mark.parametrize("lr", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("name", ["resume", "copies", "product", "zero-gradient", "groups"])
def test_a_long_step_is_no_fault(name, lr):
    """Uphill with momentum, or in any direction, nobody's steps of that length stay finite."""
    (law,) = (one for one in LAWS if one.id == f"laws/{name}")
    record = evaluate(law, [Subject.from_object("optimizer", torch.optim.SGD, USUAL, lr=lr)])
    assert record.verdict == "supported", record.reason
    assert ("lr = 0.01" in " ".join(record.notes)) == (lr == 1.0)


# ------------------------------------------------------- what sleeps where gradients are benign


class LayerByLayer(sam.SAM):
    """A radius of each tensor's own, which an option of its own says; beside a larger epsilon."""

    def __init__(self, params, rho=0.05, layerwise=True, eps=1e-5, lr=0.01):
        self.layerwise, self.eps = layerwise, eps
        super().__init__(params, rho=rho, lr=lr)

    def of(self, p, factor):
        return 1 / ((p.grad.norm() if self.layerwise else 1 / factor) + self.eps)


class MatricesDecay(right.SGD):
    """Decoupled decay of what has more than one side."""

    def decayed(self, p, d, group):
        if p.ndim > 1:
            p.mul_(1 - group["lr"] * group["weight_decay"])
        return d


class NonNegative(right.SGD):
    """Projected onto the orthant."""

    def apply(self, p, d, group):
        super().apply(p, d, group)
        p.clamp_(min=0)


class Leans(right.SGD):
    """What is positive decays, what is negative grows: nothing rests where it is."""

    def apply(self, p, d, group):
        super().apply(p, d, group)
        p.sub_(group["lr"] * p.abs())


class Noisy(right.SGD):
    """Noise by a generator of its own, seeded alike each time."""

    def __init__(self, params, lr=0.01):
        super().__init__(params, lr)
        self.generator = torch.Generator().manual_seed(0)

    def apply(self, p, d, group):
        noise = torch.randn(p.shape, generator=self.generator, dtype=torch.float64)
        super().apply(p, d + 0.1 * noise.to(p.dtype), group)


class ZerothOrder(right.SGD):
    """Two losses along a direction that the number of the step seeds (MeZO)."""

    def __init__(self, params, lr=0.01):
        super().__init__(params, lr)
        self.t = 0

    def moved(self, size):
        drawn = torch.Generator().manual_seed(self.t)
        for p in self.param_groups[0]["params"]:
            p.add_(size * torch.randn(p.shape, generator=drawn, dtype=torch.float64).to(p.dtype))

    @torch.no_grad()
    def step(self, closure):
        losses = []
        for size in (1e-3, -2e-3):
            self.moved(size)
            losses.append(self.call(closure))
        self.moved(1e-3)
        self.moved(-self.param_groups[0]["lr"] * float(losses[0] - losses[1]) / 2e-3)
        self.t += 1
        return losses[0]


@pytest.mark.parametrize(
    ("made", "law", "verdict"),
    [
        (LayerByLayer, "cut", "not-applicable"),
        (ascents._ByTensor, "cut", "refuted"),
        (MatricesDecay, "complex", "supported"),
        (kinds._ComplexSquared, "complex", "refuted"),
        (NonNegative, "symmetry", "supported"),
        (Leans, "symmetry", "refuted"),
        *((Noisy, law, "not-applicable") for law in ("shapes", "symmetry", "late-gradient")),
        *((ZerothOrder, law, "not-applicable") for law in ("shapes", "product", "late-gradient")),
        (averages._Indexed, "symmetry", "refuted"),
    ],
)
def test_another_rule_is_told_from_a_fault(made, law, verdict):
    (law,) = (one for one in LAWS if one.id == f"laws/{law}")
    record = evaluate(law, [Subject.from_object("optimizer", made)])
    assert record.verdict == verdict, record.reason


def test_a_norm_of_each_tensor_is_refuted_with_what_would_make_it_another_rule():
    (law,) = (one for one in LAWS if one.id == "laws/cut")
    record = evaluate(law, [Subject.from_object("optimizer", ascents._ByTensor)])
    assert "another rule has an option of its own" in record.reason


class Cautious(right.Lion):
    """Over the share of the entries whose gradient agrees with their step."""

    def apply(self, p, d, group):
        m = self.state[p].setdefault("m", torch.zeros_like(p))
        u = m.lerp(d, 1 - group["betas"][0]).sign()
        agrees = (u * d > 0).to(p.dtype)
        p.sub_(group["lr"] * u * agrees / agrees.mean().clamp(min=1e-3))
        m.lerp_(d, 1 - group["betas"][1])


class Clips(right.SGD):
    """The norm of all gradients is at most 20, which none on a field is."""

    def begin(self, group):
        whole = torch.stack([p.grad.norm() for p in group["params"] if p.grad is not None]).norm()
        self.share = (20 / whole).clamp(max=1.0)

    def gradient(self, p, group):
        return super().gradient(p, group) * self.share.to(p.dtype)


class Searches(right.SGD):
    """Shorter steps until the loss falls by enough (Armijo); the first try is, on a field."""

    @torch.no_grad()
    def step(self, closure):
        loss = self.call(closure)
        moved = [(p, p.clone(), p.grad.clone()) for p in self.param_groups[0]["params"]]
        size, squares = self.param_groups[0]["lr"], sum((g * g).sum() for _, _, g in moved)
        for _ in range(30):
            for p, w, g in moved:
                p.copy_(w - size * g)
            if self.call(closure) <= loss - 0.1 * size * squares:
                break
            size *= 0.7
        return loss


@pytest.mark.parametrize(
    ("made", "entrywise"),
    [(Cautious, False), (Clips, False), (Searches, False), (right.Lion, True), (right.SGD, True),
     (torch.optim.Adam, True), (torch.optim.Rprop, True)],
)  # fmt: skip
def test_entries_are_by_themselves_under_huge_and_turning_gradients_too(made, entrywise):
    found = Implementation.of(made, {}).check(field(0))
    assert laws.Structure(found).entrywise == entrywise


@pytest.mark.parametrize(
    ("made", "draws"),
    [(Noisy, True), (ZerothOrder, True), (averages._Indexed, False), (torch.optim.Adam, False)],
)
def test_what_draws_by_a_seed_of_its_own_is_seen(made, draws):
    found = Implementation.of(made, {}).check(field(0))
    assert laws.Structure(found).stochastic == draws


class Restarts(right.Adam):
    """From the beginning where the average has turned against the gradient."""

    def averages(self, s, d, group):
        if (s["m"] * d).sum() < 0:
            s.update(t=1, m=torch.zeros_like(d), v=torch.zeros_like(d))
        super().averages(s, d, group)

    def tick(self, s):
        s["t"] += 1
        return s["t"]


class Thresholds(right.SGD):
    """A soft threshold after each step: where it is says what it does, nothing before."""

    def apply(self, p, d, group):
        super().apply(p, d, group)
        p.copy_(torch.nn.functional.softshrink(p, 0.01 * group["lr"]))


@pytest.mark.parametrize(
    ("made", "options", "remembers"),
    [(Restarts, {}, True), (NonNegative, {}, False), (Thresholds, {}, False),
     (torch.optim.RMSprop, {}, True), (right.Lion, {}, True), (torch.optim.Rprop, {}, True),
     (right.SGD, {"momentum": 0.9}, True), (right.SGD, {}, False)],
)  # fmt: skip
def test_a_memory_is_of_gradients(made, options, remembers):
    assert laws.Structure(Implementation.of(made, options)).remembers == remembers


class Keras(right.SGD):
    """The step size is inside the buffer."""

    def apply(self, p, d, group):
        v = self.state[p].setdefault("v", torch.zeros_like(p))
        p.add_(v.mul_(group["momentum"]).sub_(group["lr"] * d))


class Average(right.SGD):
    """Of gradients, from zero."""

    def apply(self, p, d, group):
        m = self.state[p].setdefault("m", torch.zeros_like(p))
        p.sub_(group["lr"] * m.lerp_(d, 1 - group["momentum"]))


class Stable(right.Adam):
    """Shorter where a tensor's gradients outgrow their averages (StableAdamW)."""

    def move(self, p, s, t, d, group):
        v = s["v"] / (1 - group["betas"][1] ** t)
        rms = (d * d / v.clamp(min=1e-16)).mean().sqrt()
        super().move(p, s, t, d, {**group, "lr": group["lr"] / rms.clamp(min=1.0)})


class Waits(right.SGD):
    """Every second step, by the mean of two gradients."""

    def apply(self, p, d, group):
        s = self.state[p]
        s["sum"] = s.get("sum", 0) + d
        s["t"] = s.get("t", 0) + 1
        if s["t"] % 2 == 0:
            p.sub_(group["lr"] * s.pop("sum") / 2)


@pytest.mark.parametrize(
    ("made", "roles", "line"),
    [
        (partial(Keras, momentum=0.9), set(),
         "role momentum: no: rather the step size is inside the buffer (Keras)"),
        (partial(Average, momentum=0.9), {"momentum-ema"}, ""),
        (Stable, set(), "role adam: no: an entry's step depends on others (see its structure)"),
        (Clips, set(), "role gd: no: an entry's step depends on others (see its structure)"),
        (Clips, set(), "scale of the loss: proportional where it is small, "
         "not felt where it is large: it clips"),
        (LayerByLayer, set(), "role sam-l2: no: it takes the norm of each tensor by itself"),
        (partial(LayerByLayer, layerwise=False), {"sam-l2", "dnsam"}, ""),
        (Waits, set(), "geometry: 2-norm"),
        (ZerothOrder, set(), "randomness: drawn, so that structure, memory and norm are not told"),
        (NonNegative, set(), "memory: none"),
    ],
)  # fmt: skip
def test_it_is_told_what_it_is(made, roles, line):
    found = recognise(Subject.from_object("optimizer", made))
    assert set(found.roles) == roles
    assert not line or line in list(found.lines(99))


def test_a_role_that_is_far_off_is_not_told_as_near():
    lines = list(recognise(Subject.from_object("optimizer", ZerothOrder)).lines())
    assert not [line for line in lines if line.startswith("role")]
