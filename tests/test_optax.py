"""Gradient transformations of optax as subjects."""

import pytest
import torch

from limitpoint import claims_of, evaluate
from limitpoint.errors import UsageError
from limitpoint.recognition import recognise_apart
from limitpoint.subjects import USUAL, Subject, parse_subject
from limitpoint.subjects import makes_transformation as makes

optax = pytest.importorskip("optax", reason="the extra optax is not installed")

LAWS = {law.id.partition("/")[2]: law for law in claims_of(paper="laws")}
#: Laws that judge a rule by itself, and what a process compiles for them takes little.
QUICK = ("first-step", "averages", "heavy-ball", "decay", "resume", "instances")


def subject(role, make, **options):
    return Subject.from_object(role, make, USUAL, **options)


def verdicts(one, laws=QUICK):
    return {name: evaluate(LAWS[name], [one]).verdict for name in laws}


@pytest.mark.parametrize(
    ("make", "options", "roles"),
    [
        (optax.sgd, {"momentum": 0.9}, ("momentum",)),
        (optax.adam, {}, ("adam", "adamw")),
        (optax.adamw, {}, ("adam", "adamw")),
        (optax.lion, {}, ("lion",)),
    ],
)
def test_a_transformation_is_recognised_and_lawful(make, options, roles):
    one = subject("optimizer", make, **options)
    assert set(recognise_apart(one).roles) == set(roles)
    found = verdicts(one)
    assert set(found.values()) <= {"supported", "not-applicable"}, found
    assert found["resume"] == "supported"


def test_adagrad_has_its_epsilon_inside_the_root():
    one = subject("optimizer", optax.adagrad, initial_accumulator_value=0.0)
    assert recognise_apart(one).roles == ("adagrad",)
    assert "eps inside the root" in evaluate(LAWS["first-step"], [one]).reason
    assert "eps in the root" in evaluate(LAWS["squares"], [one]).reason


def test_a_rule_with_options_of_its_own_is_not_taken_for_another():
    """Such as RMSprop with its epsilon inside the root, as its documentation says."""
    one = subject("optimizer", optax.rmsprop)
    assert set(verdicts(one, ["first-step", "squares"]).values()) == {"not-applicable"}


def swapped(learning_rate, b1=0.9, b2=0.999, eps=1e-8):
    """Adam, but for its betas."""
    return optax.adam(learning_rate, b1=b2, b2=b1, eps=eps)


def uphill(learning_rate):
    """Descent with its sign lost."""
    return optax.scale_by_schedule(learning_rate)


class Kept:
    """A state that is no part of the state."""

    def __init__(self):
        self.count = 0

    def init(self, params):
        return ()

    def update(self, updates, state, params=None):
        import jax

        def counted():
            self.count += 1
            return float(self.count)

        count = jax.pure_callback(counted, jax.ShapeDtypeStruct((), "float64"))
        return [-0.01 * g / count for g in updates], state


def kept(learning_rate):
    one = Kept()
    return optax.GradientTransformation(one.init, one.update)


def test_a_wrong_transformation_is_refuted():
    assert verdicts(subject("optimizer", swapped))["averages"] == "refuted"
    assert verdicts(subject("optimizer", kept), ["resume"])["resume"] == "refuted"
    (claim,) = [c for c in claims_of(role="gd") if c.id == "usam/gd-min-distance"]
    assert evaluate(claim, [subject("gd", uphill)]).verdict == "refuted"
    assert evaluate(claim, [subject("gd", optax.sgd)]).verdict == "supported"


def test_a_schedule_is_handed_over_as_a_callable():
    (claim,) = [c for c in claims_of(role="adam") if c.id == "multiclass/moments-track"]
    assert evaluate(claim, [subject("adam", optax.adam)]).verdict == "supported"


def test_a_loss_is_handed_to_what_asks_for_one():
    one = subject("optimizer", optax.polyak_sgd, max_learning_rate=0.1)
    assert verdicts(one, ["determinism"])["determinism"] == "supported"
    assert "on the loss" in evaluate(LAWS["closure"], [one]).reason


def test_options_have_their_own_names_or_torchs():
    one = parse_subject("adam=optax:adam,b2=0.95,learning_rate=0.1")
    assert one.kwargs == {"betas": (0.9, 0.95), "lr": 0.1}
    with pytest.raises(UsageError, match="takes no argument 'b3'"):
        parse_subject("adam=optax:adam,b3=0.95")


def test_who_is_a_transformation():
    assert makes(optax.adam)
    assert makes(uphill)
    assert not makes(torch.optim.Adam)


def test_gradients_that_are_missing_are_no_hypothesis_of_jax():
    record = evaluate(LAWS["late-gradient"], [subject("optimizer", optax.sgd)])
    assert record.verdict == "not-applicable"
    assert "JAX" in record.reason


def test_state_follows_the_dtype():
    found = verdicts(subject("optimizer", optax.adam), ["precision", "zero-gradient"])
    assert set(found.values()) == {"supported"}
