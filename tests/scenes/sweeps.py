"""Sweeps that cost nothing: of cartpole with 64 env steps, or of numbers that somebody makes up."""

from scenes.sweep.command import SweepRequest, begun, defined
from scenes.sweep.study import SweepStudy

TINY = ("world.num_envs=2", "agent.num_steps=16", "agent.minibatch_size=32")
SEARCH = ("agent.learning_rate=log:1e-4..1e-2", "agent.num_epochs=1..3")


def begin(path, search=SEARCH, **asked):
    """A sweep's study in a new folder; its trials are to be trained by whoever claims them."""
    amounts = {"trials": 4, "steps": 64} | asked
    request = SweepRequest(scene="cartpole", changes=TINY, search=search, run=path, **amounts)
    return SweepStudy(*begun(request, defined(request)))


def joined(study):
    """The same study as another process opens it."""
    return SweepStudy(study.folder, study.folder.read())


def result(score, seconds=1.0, **others):
    """What is recorded of a seed."""
    unknown = {"low": None, "high": None, "episodes": 0, "steps": 64}
    return unknown | {"score": score, "seconds": seconds} | others


def made_up(study, score, seconds):
    """Claim all trials, and end each with a score and a time that follow from its parameters and number."""
    while trial := study.claim():
        with trial:
            value = score(trial.params)
            trial.keep(study.definition.seed, result(value, seconds(trial.number)))
            trial.complete(value)
