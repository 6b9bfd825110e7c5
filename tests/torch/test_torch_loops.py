"""The recipes of the how-to for the loops that people use, each resumed from a checkpoint."""

import functools

import pytest
import torch
from support.pages import run

import revgrad
from revgrad_torch import GradientReversal

recipe = functools.partial(run, "docs/how-to/torch-loops.md")
X = torch.arange(8.0).reshape(8, 1) / 8
BATCHES = torch.utils.data.DataLoader(X, batch_size=4)
EXPECTED = [revgrad.schedules.Dann()(step / 8) for step in range(8)]
seen = []


class Noted(GradientReversal):
    """Notes λ of each training step."""

    def forward(self, x):
        if self.training:
            seen.append(self.lam.item())
        return super().forward(x)


def layers(lam=0):
    """Return layers, with a reversal in the middle."""
    torch.manual_seed(0)
    return torch.nn.Linear(1, 3), Noted(lam), torch.nn.Linear(3, 1)


def resumed(train):
    """Return what training returns that was resumed after 4 steps, with λ on the ramp throughout."""
    seen.clear()
    train(resumed=False)
    assert len(seen) == 4
    result = train(resumed=True)
    assert seen == pytest.approx(EXPECTED)
    return result


def test_lightning(tmp_path):
    lightning = pytest.importorskip("lightning")
    callback = recipe("Lightning")["DriveLambda"]

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.lam = revgrad.LambdaVariable()
            self.layers = torch.nn.Sequential(*layers(self.lam))

        def training_step(self, batch):
            return self.layers(batch).square().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    def train(resumed):
        trainer = lightning.Trainer(
            max_epochs=4 if resumed else 2,
            accelerator="cpu",
            callbacks=[callback(revgrad.schedules.Dann(), total_steps=8)],
            barebones=True,
        )
        file = tmp_path / "checkpoint"
        trainer.fit(Model(), BATCHES, ckpt_path=file if resumed else None)
        trainer.save_checkpoint(file)

    resumed(train)


@pytest.mark.parametrize("name", ["A plain loop", "Accelerate"])
def test_a_loop_that_is_written_out(name, tmp_path):
    if name == "Accelerate":
        pytest.importorskip("accelerate")
    train = recipe(name)["train"]
    loss = lambda model, batch: model(batch).square().mean()

    def trained(epochs, place):
        lam = revgrad.LambdaVariable()
        model = torch.nn.Sequential(*layers(lam))
        train(model, lam, BATCHES, loss, 8, epochs, str(tmp_path / place))
        return [each.tolist() for each in model.state_dict().values()]

    assert resumed(lambda resumed: trained(2, "parts")) == trained(4, "whole")
    assert seen == pytest.approx(2 * EXPECTED)


def test_skorch(tmp_path):
    skorch = pytest.importorskip("skorch")
    from skorch.callbacks import Checkpoint, LoadInitState
    from sklearn.base import clone

    callback = recipe("skorch")["DriveLambda"]

    def train(resumed):
        checkpoint = Checkpoint(monitor=None, dirname=tmp_path)
        drive = callback(revgrad.schedules.Dann(), total_steps=8)
        net = skorch.NeuralNetRegressor(
            torch.nn.Sequential(*layers()),
            batch_size=3,  # of 6: 2 of 8 are for validation
            max_epochs=2,
            train_split=skorch.dataset.ValidSplit(4),
            callbacks=[drive, LoadInitState(checkpoint), checkpoint],
            verbose=0,
        )
        clone(net).fit(X, X)

    resumed(train)


def test_hugging_face_trainer(tmp_path):
    transformers = pytest.importorskip("transformers")
    callback = recipe("Hugging Face Trainer")["DriveLambda"]

    class Model(torch.nn.Sequential):
        def forward(self, x):
            return {"loss": super().forward(x).square().mean()}

    class Stop(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step == 4

    def train(resumed):
        transformers.Trainer(
            Model(*layers()),
            transformers.TrainingArguments(
                str(tmp_path),
                max_steps=8,
                save_steps=4,
                per_device_train_batch_size=4,
                use_cpu=True,
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=[{"x": x} for x in X],
            callbacks=[callback(revgrad.schedules.Dann()), Stop()],
        ).train(resume_from_checkpoint=resumed)

    resumed(train)


def test_scale_the_gradient_of_an_encoder(capsys):
    recipe("Scale the gradient of an encoder")
    assert capsys.readouterr().out.startswith("tensor([0.1000, 0.1000, 0.1000]")
