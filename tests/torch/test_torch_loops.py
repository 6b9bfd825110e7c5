"""The recipes of the how-to for the loops that people use, each resumed from a checkpoint."""

import functools

import pytest
import torch
from support.pages import run

import revgrad
from revgrad_torch import GradientReversal

recipe = functools.partial(run, "docs/how-to/torch-loops.md")
X = torch.arange(8.0).reshape(8, 1) / 8
EXPECTED = [revgrad.schedules.Dann()(step / 8) for step in range(8)]


def lam_and_model():
    """Return a variable, and layers that it drives."""
    lam = revgrad.LambdaVariable()
    return lam, torch.nn.Sequential(*layers(lam))


def layers(lam):
    torch.manual_seed(0)
    return torch.nn.Linear(1, 3), GradientReversal(lam), torch.nn.Linear(3, 1)


def test_lightning(tmp_path):
    lightning = pytest.importorskip("lightning")
    callback = recipe("Lightning")["DriveLambda"]
    seen = []

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.lam, self.layers = lam_and_model()

        def training_step(self, batch):
            seen.append(self.layers[1].lam.item())
            return self.layers(batch).square().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    def trainer(epochs):
        return lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            callbacks=[callback(revgrad.schedules.Dann(), total_steps=8)],
            default_root_dir=tmp_path,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    batches = torch.utils.data.DataLoader(X, batch_size=4)
    first = trainer(2)
    first.fit(Model(), batches)
    first.save_checkpoint(tmp_path / "checkpoint")
    assert len(seen) == 4
    trainer(4).fit(Model(), batches, ckpt_path=tmp_path / "checkpoint")
    assert seen == pytest.approx(EXPECTED)


@pytest.mark.parametrize("name", ["A plain loop", "Accelerate"])
def test_a_loop_that_is_written_out(name, tmp_path):
    if name == "Accelerate":
        pytest.importorskip("accelerate")
    train, seen = recipe(name)["train"], []
    batches = torch.utils.data.DataLoader(X, batch_size=4)

    def loss(model, batch):
        seen.append(next(each.lam.item() for each in model.modules() if hasattr(each, "lam")))
        return model(batch).square().mean()

    def trained(epochs, place):
        lam, model = lam_and_model()
        train(model, lam, batches, loss, 8, epochs, str(tmp_path / place))
        return model.state_dict()

    whole, _, resumed = trained(4, "whole"), trained(2, "parts"), trained(2, "parts")
    assert seen == pytest.approx(2 * EXPECTED)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_skorch(tmp_path):
    skorch = pytest.importorskip("skorch")
    from skorch.callbacks import Checkpoint, LoadInitState
    from sklearn.base import clone

    callback = recipe("skorch")["DriveLambda"]
    seen = []

    class Model(torch.nn.Sequential):
        def forward(self, x):
            if self.training:
                seen.append(self[1].lam.item())
            return super().forward(x)

    def net():
        checkpoint = Checkpoint(monitor=None, dirname=tmp_path)
        drive = callback(revgrad.schedules.Dann(), total_steps=8)
        return clone(
            skorch.NeuralNetRegressor(
                Model(*layers(0)),
                batch_size=3,  # of 6: 2 of 8 are for validation
                max_epochs=2,
                train_split=skorch.dataset.ValidSplit(4),
                callbacks=[drive, LoadInitState(checkpoint), checkpoint],
                verbose=0,
            )
        )

    net().fit(X, X)
    assert len(seen) == 4
    net().fit(X, X)
    assert seen == pytest.approx(EXPECTED)


def test_hugging_face_trainer(tmp_path):
    transformers = pytest.importorskip("transformers")
    callback = recipe("Hugging Face Trainer")["DriveLambda"]
    seen = []

    class Model(torch.nn.Sequential):
        def forward(self, x):
            seen.append(self[1].lam.item())
            return {"loss": super().forward(x).square().mean()}

    class Stop(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step == 4

    def trainer(*callbacks):
        return transformers.Trainer(
            Model(*layers(0)),
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
            callbacks=[callback(revgrad.schedules.Dann()), *callbacks],
        )

    trainer(Stop()).train()
    assert len(seen) == 4
    trainer().train(resume_from_checkpoint=True)
    assert seen == pytest.approx(EXPECTED)


def test_scale_the_gradient_of_an_encoder(capsys):
    recipe("Scale the gradient of an encoder")
    assert capsys.readouterr().out.startswith("tensor([0.1000, 0.1000, 0.1000]")
