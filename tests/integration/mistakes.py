"""User errors, each with the one line that the command must print."""
# ruff: noqa: E501 (a row of the table is a line)

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from tests.integration.command import Faces

CSV = ("data=csv", "data.labels={csv}", "data.images={images}")
SPLITS = ("data=csv_splits", "data.images={images}")
MORE = ("+data/source@data.sources.more=default", "data.sources.more.labels={csv}", "data.sources.more.images={images}")
OTHER_METHOD = (
    "~method.supervised",
    "+method.other._target_=faceflow.methods.supervised.Supervised",
    "+method.other.criterion=${{loss}}",
)
FIRST = "s0/0.jpg"  # image of line 2


@dataclasses.dataclass(frozen=True)
class Case:
    """A user error and its error line; `*` stands for any text, {names} for the paths of `places`."""

    name: str
    line: str
    overrides: tuple[str, ...] = ()
    damage: Callable[[Faces], object] | None = None
    data: tuple[str, ...] = CSV
    command: str = "train"


def cell(line: int, column: str, value: str) -> Callable[[Faces], object]:
    def damage(faces: Faces) -> None:
        frame = faces.read()
        frame.loc[line - 2, column] = value
        faces.write(frame)

    return damage


def table(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Faces], object]:
    return lambda faces: faces.write(change(faces.read()))


def text(content: str) -> Callable[[Faces], object]:
    return lambda faces: faces.csv.write_text(content, encoding="utf-8")


def image(change: Callable[[bytes], bytes]) -> Callable[[Faces], object]:
    path = Path("images") / FIRST
    return lambda faces: (faces.folder / path).write_bytes(change((faces.folder / path).read_bytes()))


def parts(**subjects: range) -> Callable[[Faces], object]:
    """Write NAME.csv with some of the subjects."""

    def damage(faces: Faces) -> None:
        frame = faces.read()
        for name, chosen in subjects.items():
            faces.write(frame[frame["subject"].isin([f"s{number}" for number in chosen])], f"{name}.csv")

    return damage


def leak(faces: Faces) -> None:
    """Write the odd frames of s5 to b.csv and everything else to a.csv: the subject leaks, the images do not."""
    parts(a=range(6), b=range(5, 10))(faces)
    for name, dropped in (("a.csv", "png"), ("b.csv", "jpg")):
        frame = pd.read_csv(faces.folder / name, dtype=str)
        faces.write(frame[(frame["subject"] != "s5") | ~frame["filename"].str.endswith(dropped)], name)


def one_class_in_validation(faces: Faces) -> None:
    parts(a=range(5), b=range(5, 8))(faces)
    frame = pd.read_csv(faces.folder / "b.csv", dtype=str)
    faces.write(frame.assign(AU1="0", AU6="0", AU12="0"), "b.csv")


def broken_folder(faces: Faces) -> None:
    folder = faces.folder / "broken"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).touch()


# fmt: off
LABELS = [
    Case("no such CSV", "DataError: data.sources.csv.labels: expected a CSV file, got '/no.csv' (no such file or directory); check the path", ("data.labels=/no.csv",)),
    Case("no path", "ConfigError: data.labels: expected a value, got none; add data.labels=... to the command", data=("data=csv",)),
    Case("no filename", "DataError: {csv}: expected a column 'filename', got AU1, AU6, AU12, subject; add it", (), table(lambda f: f.drop(columns="filename"))),
    Case("no AU", "DataError: {csv}: expected AU columns such as AU12, got filename, subject; rename the label columns", (), table(lambda f: f[["filename", "subject"]])),
    Case("AU twice", "DataError: {csv}: expected one column for AU1, got 'AU1' and 'AU01'; remove one", (), table(lambda f: f.assign(AU01="0"))),
    Case("AU without labels", "ConfigError: aus.names: expected AUs that the training data label, got AU9; did you mean *", ("aus.names=[AU9]",)),
    Case("unknown AU", "ConfigError: aus.names: expected FACS names like AU12 or AU12_L, got 'AU99'; did you mean *", ("aus.names=[AU99]",)),
    Case("label above the scale", "DataError: {csv}:5: expected AU1 in 0..5, got 7; correct the label, or set data.sources.csv.score_max, or data.sources.csv.missing_values=[7]", (), cell(5, "AU1", "7")),
    Case("label below zero", "DataError: {csv}:5: expected AU1 in 0..5, got -2; *", (), cell(5, "AU1", "-2")),
    Case("text as a label", "DataError: {csv}:5: expected a number in column 'AU6', got 'high'; write the score, or leave the cell empty if it is unknown", (), cell(5, "AU6", "high")),
    Case("CSV of zero bytes", "DataError: {csv}:1: expected a header, got an empty line; write AU columns and 'filename'", (), text("")),
    Case("only a header", "DataError: {csv}: expected rows, got only a header; add rows or remove the file", (), text("AU1,filename\n")),
    Case("spaces between columns", "DataError: {csv}: expected commas, semicolons or tabs between columns, got spaces in 'AU1 filename'; save it as CSV", (), text("AU1 filename\n0 a.png\n")),
    Case("near miss of subject", "DataError: {csv}: expected a column 'subject', got 'Participant'; rename it, or set data.sources.csv.columns.subject=Participant, or data.sources.csv.columns.subject=null if it is something else", (), text("AU1,filename,Participant\n0,a.png,s1\n")),
    Case("fraction or thousands", "DataError: {csv}:2: expected a number in column 'AU1', got '1,500', which may mean a fraction or thousands; write it with a decimal point", (), text("AU1;filename\n1,500;a.png\n")),
    Case("AU never labelled", "DataError: training labels: expected some for every AU, got none for AU6 (all missing); leave it out with aus.names=[...]", (), table(lambda f: f.assign(AU6=""))),
    Case("one class in validation", "DataError: validation labels: expected both classes of at least one AU for monitor=val/f1_val, got none; *", ("data.train={folder}/a.csv", "data.val={folder}/b.csv"), one_class_in_validation, SPLITS),
    Case("levels of 0/1 labels", "DataError: faces: expected graded intensities for levels=5, got only labels 0 and 1 for AU1, AU6, AU12; leave these AUs out with aus.names, use levels=1, or set * if they are intensities", ("levels=5",), table(lambda f: f.assign(AU1="1", AU6="0", AU12="1"))),
    Case("same image, other labels", "DataError: {csv}:42: expected one label row per image, got 's0/0.jpg' with other labels, subject or domain than in line 2; keep the right one", (), table(lambda f: pd.concat([f, f[:1].assign(AU1="3")]))),
]
IMAGES = [
    Case("no such image", "DataError: {csv}:2: expected an image, got no such file: '{images}/s0/0.jpg'; fix it, or leave such rows out with data.sources.csv.bad_images=skip", (), lambda faces: (faces.images / FIRST).unlink()),
    Case("truncated image", "DataError: {csv}:2: expected an image, got a truncated image: '{images}/s0/0.jpg'; *", (), image(lambda content: content[: len(content) // 2])),
    Case("image of zero bytes", "DataError: {csv}:2: expected an image, got an empty file: '{images}/s0/0.jpg'; *", (), image(lambda _: b"")),
    Case("not an image", "DataError: {csv}:2: expected an image, got a file that is not a JPEG, *: '{images}/s0/0.jpg'; *", (), image(lambda _: b"dear diary, today I trained")),
    Case("broken inside", "DataError: {images}/s0/0.jpg: expected an image, got an image that OpenCV cannot decode; *", (), image(lambda _: b"\xff\xd8\xff" + b"x" * 200 + b"\xff\xd9")),
    Case("broken inside, read by a worker", "DataError: {images}/s0/0.jpg: expected an image, got an image that OpenCV cannot decode; *", ("loader.workers=1",), image(lambda _: b"\xff\xd8\xff" + b"x" * 200 + b"\xff\xd9")),
    Case("path out of the folder", "DataError: {csv}:5: expected a file inside '{images}', got '../a.png'; write filename relative to data.sources.csv.images", (), cell(5, "filename", "../a.png")),
    Case("absolute path", "DataError: {csv}:5: expected a file inside '{images}', got '/etc/passwd'; *", (), cell(5, "filename", "/etc/passwd")),
    Case("no images folder", "DataError: data.sources.csv.images: expected a folder, got '/no'; check the path", ("data.images=/no",)),
]
SUBJECTS = [
    Case("too few subjects", "DataError: faces: expected at least 3 subjects to split into train, val, test, got 2; *", (), table(lambda f: f[:8])),
    Case("subject missing in a row", "DataError: {csv}:5: expected a subject, got an empty cell; fill in the subject of every row, or remove the column", (), cell(5, "subject", "")),
    Case("audit of no column", "ConfigError: audit: expected columns of the labels, got 'sx', which no table has; did you mean 'sex'?", ("audit=[sx]",), table(lambda f: f.assign(sex="f"))),
    Case("audit of an AU", "ConfigError: audit: expected columns of groups such as sex, got 'AU1', which is the label of an AU; leave it out", ("audit=AU1",)),
    Case("audit of numbers", "ConfigError: audit: expected at most 20 groups in a column, got 40 values in 'age', such as '0' and '1'; put them *", ("audit=[age]",), table(lambda f: f.assign(age=range(len(f))))),
    Case("subject in train and val", "DataError: splits: expected no subject in two splits, got 'own/s5' in train and val (1 shared); *", ("data.train={folder}/a.csv", "data.val={folder}/b.csv"), leak, SPLITS),
    Case("subject in train and test", "DataError: splits: expected no subject in two splits, got 'own/s?' in * and test (1 shared); *", ("data.train={folder}/a.csv", "data.test={folder}/b.csv"), leak, SPLITS),
    Case("labels and splits", "ConfigError: data.sources.csv: expected either labels or train/val/test, got both; leave one out", ("data.sources.csv.train={csv}",)),
    Case("two data sets of one name", "ConfigError: data.sources: expected different names, got 'csv' twice; *", (*MORE, "data.sources.more.name=csv", "data.sources.csv.name=csv")),
]
KEYS = [
    Case("typo in a key", "ConfigError: loader.batch_sise: expected a known key in 'loader', got 'batch_sise'; did you mean 'batch_size'?", ("loader.batch_sise=4",)),
    Case("typo in a group", "ConfigError: mdoel: expected *; did you mean 'model'?", ("mdoel=resnet18",)),
    Case("typo in an option", "ConfigError: loss=focall: expected an option of 'loss'; did you mean 'focal'?", ("loss=focall",)),
    Case("typo in a model option", "ConfigError: model=resnet81: expected an option of 'model'; did you mean 'resnet18' or 'resnet50'?, or model=default model.backbone=resnet81 for any other timm network", ("model=resnet81",)),
    Case("typo in a loss key", "ConfigError: loss.gama: expected a known key in 'loss', got 'gama'; did you mean 'gamma'?", ("loss=focal", "loss.gama=1")),
    Case("way to decode", "ConfigError: loader.decode: expected full or scaled, got 'scale'; did you mean 'scaled'?", ("loader.decode=scale",)),
    Case("value in the place of a section", "ConfigError: loader: expected its keys (batch_size, mu, steps_per_epoch, workers, timeout_s, decode, cache, cache_gb, cache_folder), got 4; set one of them, such as loader.batch_size=...", ("loader=4",)),
    Case("null in the place of an option", "ConfigError: method: expected an option or a list of options, got null; leave method=... out for the default; known: *", ("method=null",)),
    Case("no data set", "ConfigError: data.sources: expected a known key in 'data', got 'sources'; *", ("~data",), data=()),
    Case("added loss key", "ConfigError: method.supervised: * got an unexpected keyword argument 'gama'*", ("+loss.gama=1",)),
    Case("added augmentation argument", "ConfigError: transforms.labeled.affine: Affine has no argument 'rotat'; did you mean 'rotate'*", ("+transforms.labeled.affine.rotat=1",)),
    Case("value of an augmentation", "ConfigError: transforms.labeled.affine.p: Input should be less than or equal to 1, got 2", ("transforms.labeled.affine.p=2",)),
    Case("no resize step", "ConfigError: transforms.labeled: expected steps that make square uint8 RGB images of one size, *", ("transforms.labeled.resize=null",)),
    Case("limited test", "ConfigError: trainer.limit_test_batches: expected null, as the best checkpoint is tested on all faces, got 2; skip the test with test=false", ("+trainer.limit_test_batches=2",)),
    Case("added trainer key", "ConfigError: trainer: Trainer.__init__() got an unexpected keyword argument 'max_epoch'", ("+trainer.max_epoch=1",)),
    Case("not key=value", "ConfigError: 'epochs': expected key=value, got no '='; write it as one word, key=value", ("epochs",)),
    Case("run folder", "DataError: {csv}/run: expected a writable folder, got 'Not a directory'; check disk and path", ("hydra.run.dir={csv}/run",)),
]
NUMBERS = [
    Case("batch size", "ConfigError: loader.batch_size: expected a whole number >= 1, got 0", ("loader.batch_size=0",)),
    Case("batch of one at 1x1 maps", "ConfigError: loader.batch_size: expected at least 2 images for the BatchNorm of test_resnet at 32 px, got 1; raise it, or model.image_size", ("loader.batch_size=1",)),
    Case("workers", "ConfigError: loader.workers: expected a whole number >= 0, got -1", ("loader.workers=-1",)),
    Case("flip", "ConfigError: flip: expected a probability in [0, 1], got 2", ("flip=2",)),
    Case("split", "ConfigError: split: expected val > 0 and val + test < 1, got 0.9 and 0.5; *", ("split.val=0.9", "split.test=0.5")),
    Case("seed of the split", "ConfigError: split.seed: expected a whole number >= 0, got -1", ("split.seed=-1",)),
    Case("seed", "ConfigError: seed: expected a whole number in 0..4294967295, got 'abc'", ("seed=abc",)),
    Case("EMA", "ConfigError: average.decay: expected a number in (0, 1), got 2", ("average=ema", "average.decay=2")),
    Case("SWA", "ConfigError: average.start: expected a share of the run in [0, 1), got 1", ("average=swa", "average.start=1")),
    Case("WiSE-FT", "ConfigError: average.alpha: expected a share in (0, 1], got 0", ("average=wise_ft", "average.alpha=0")),
    Case("linear probe", "ConfigError: callbacks.linear_probe.share: expected a share of the run in (0, 1], got 0", ("callbacks=[default,linear_probe]", "callbacks.linear_probe.share=0")),
    Case("levels", "ConfigError: levels: expected a whole number >= 1, got 0; 1 = occurrence, 5 = intensity", ("levels=0",)),
    Case("count of cutpoints", "ConfigError: cutpoints: expected 5 rising numbers in (0, 5], got [1, 2]; *", ("levels=5", "cutpoints=[1,2]")),
    Case("order of cutpoints", "ConfigError: cutpoints: expected 2 rising numbers in (0, 5], got [4, 2]; *", ("levels=2", "cutpoints=[4,2]")),
    Case("cutpoints as a number", "ConfigError: cutpoints: expected a list such as [1,3,5], got 3", ("levels=2", "cutpoints=3")),
    Case("layer decay", "ConfigError: layer_decay: expected a factor in (0, 1], 1 = off, got 0", ("layer_decay=0",)),
    Case("learning rate below 0", "ConfigError: optimizer.lr: expected a number > 0, got -1", ("optimizer.lr=-1",)),
    Case("learning rate as text", "ConfigError: optimizer.lr: expected a number > 0, got 'fast'", ("optimizer.lr=fast",)),
    Case("learning rate that diverges", "ConfigError: optimizer.lr: expected finite predictions after epoch 0, got NaN: the training diverged; *", ("optimizer.lr=1e9",)),
    Case("betas", "ConfigError: optimizer: Invalid beta parameter at index 0: 3*", ("optimizer.betas=[3,0.9]",)),
    Case("warm-up", "ConfigError: scheduler.warmup: expected a share of the run in [0, 1), got 2", ("scheduler.warmup=2",)),
    Case("image size", "ConfigError: model.image_size: expected pixels in 16..2048, got 5", ("model.image_size=5",)),
    Case("dropout", "ConfigError: model.dropout: expected a probability in [0, 1), got 1.5", ("model.dropout=1.5",)),
    Case("loss", "ConfigError: loss.max_weight: expected a finite number >= 1, got 0", ("loss.max_weight=0",)),
    Case("monitor", "ConfigError: monitor: expected a validation metric, got 'val/nonsense'; *", ("monitor=val/nonsense",)),
    Case("monitor in the wrong direction", "ConfigError: callbacks.best.mode: expected min for monitor=val/eer, got max", ("monitor=val/eer",)),
    Case("precision", "ConfigError: trainer: Precision 'nonsense' is invalid. *", ("trainer.precision=nonsense",)),
    Case("epochs", "ConfigError: trainer.max_epochs: expected a whole number >= -1, got 'abc'", ("trainer.max_epochs=abc",)),
    Case("epochs of a data report", "ConfigError: trainer.max_epochs: expected a whole number >= -1, got nan", ("report_only=true", "trainer.max_epochs=nan")),
    Case("monitor of a data report", "ConfigError: monitor: expected a validation metric, got 'val/foo'; *", ("report_only=true", "monitor=val/foo")),
    Case("learning rate of a data report", "ConfigError: optimizer.lr: expected a number > 0, got 'abc'", ("report_only=true", "optimizer.lr=abc")),
    Case("flip of a data report", "ConfigError: flip: expected a probability in [0, 1], got 3", ("report_only=true", "flip=3")),
    Case("average of a data report", "ConfigError: average.decay: expected a number in (0, 1), got 3", ("report_only=true", "average=ema", "average.decay=3")),
    Case("no epoch at all", "ConfigError: trainer: expected a validated epoch, got none; see trainer.max_epochs, *", ("trainer.max_epochs=0",)),
    Case("preview", "ConfigError: preview: expected a count of faces, got -1", ("preview=-1",)),
    Case("score_max", "ConfigError: data.sources.csv.score_max: expected a number above 0, or null, got 'abc'", ("data.sources.csv.score_max=abc",)),
    Case("score_max of an AU", "ConfigError: data.sources.csv.score_max.AU6: expected a number above 0, or null, got 0", ("data.sources.csv.score_max={{AU6: 0}}",)),
    Case("score_max of an unknown AU", "ConfigError: data.sources.csv.score_max: expected AUs that the data set labels, or others, got 'AU7'; *", ("data.sources.csv.score_max={{AU7: 1}}",)),
]
FILES = [
    Case("unknown backbone", "ConfigError: model.backbone: expected the name of a timm model, got 'resnet81'; did you mean 'resnet18' or *", ("model.backbone=resnet81",)),
    Case("backbone from a hub", "ConfigError: model.backbone: expected the name of a timm model, got 'hf-hub:timm/resnet18'; did you mean 'resnet18'*", ("model.backbone=hf-hub:timm/resnet18",)),
    Case("no such weights", "CheckpointError: model.weights: expected a file, got '/no.pth', which does not exist; check the path", ("model.weights=/no.pth",)),
    Case("weights of another architecture", "CheckpointError: model.weights: expected weights of test_resnet in timm naming, got a file without 75 of its 75 tensors ('bn1.bias', ...) but with 'cls_token': '{files}/vit.pth'; set model.backbone to the network that they come from", ("model.weights={files}/vit.pth",)),
    Case("weights of other shapes", "CheckpointError: model.weights: expected weights of test_resnet for model.image_size=32, got other shapes in '{files}/shapes.pth' (*); set model.backbone to the network that they come from", ("model.weights={files}/shapes.pth",)),
    Case("weights that are code", "CheckpointError: {files}/code.pth: expected tensors and plain values only, got pickled code (posix.mkdir); it was not run: *", ("model.weights={files}/code.pth",)),
    Case("resume: code", "CheckpointError: {files}/code.pth: expected tensors and plain values only, got pickled code (posix.mkdir); *", ("resume={files}/code.pth",)),
    Case("resume: truncated", "CheckpointError: {files}/truncated.ckpt: expected a whole torch file, got a truncated or foreign one; copy it again", ("resume={files}/truncated.ckpt",)),
    Case("resume: other AUs", "CheckpointError: resume: expected a checkpoint of this network, got another aus: ['AU1', 'AU6', 'AU12'] instead of ['AU1', 'AU6']; *", ("resume={last}", "aus.names=[AU1,AU6]")),
    Case("resume: other backbone", "CheckpointError: resume: expected a checkpoint of this network, got another backbone: test_resnet instead of test_efficientnet; *", ("resume={last}", "model.backbone=test_efficientnet")),
    Case("resume: other method", "CheckpointError: resume: expected method=supervised as in '{last}', got other; *", ("resume={last}", *OTHER_METHOD)),
    Case("resume: other loss", "CheckpointError: resume: expected method.supervised.criterion._target_=faceflow.losses.bce.BCE as in '{last}', got faceflow.losses.focal.Focal; *", ("resume={last}", "loss=focal")),
    Case("resume: other learning rate", "CheckpointError: resume: expected optimizer.lr=0.001 as in '{last}', got 0.01; *", ("resume={last}", "optimizer.lr=0.01")),
    Case("resume: EMA left out", "CheckpointError: resume: expected average=EMA as in '{last}', got none; *", ("resume={last}", "average=none")),
    Case("resume: fewer epochs than are done", "ConfigError: trainer.max_epochs: expected at least the 2 that the run of '{last}' has done, got 1; raise it, or test that checkpoint with faceflow-test", ("resume={last}",)),
    Case("resume: fewer steps than are done", "ConfigError: trainer.max_steps: expected at least the 4 that the run of '{last}' has done, got 3; *", ("resume={last}", "trainer.max_epochs=2", "trainer.max_steps=3")),
    Case("resume: weights only", "CheckpointError: resume: expected the state of a run, got '{files}/weights.ckpt' without its 'optimizer_states'; start a new run from its weights with init_weights=PATH", ("resume={files}/weights.ckpt",)),
    Case("no end: schedule", "ConfigError: scheduler: expected a run of known length, got one without trainer.max_epochs or trainer.max_steps; set one of them, or scheduler=constant", ("trainer.max_epochs=-1", "+trainer.max_time=00:00:01:00")),
    Case("no end: linear probe", "ConfigError: callbacks.linear_probe.share: expected a run of known length, *, or callbacks.linear_probe.share=1", ("trainer.max_epochs=-1", "scheduler=constant", "callbacks=[default,linear_probe]")),
    Case("max_time that is none", "ConfigError: trainer: `Timer(duration='1h')` is not a valid duration. *", ("+trainer.max_time=1h",)),
    Case("resume: other subjects", "CheckpointError: resume: expected the train faces of '{last}', got * other faces and * missing ones; *", ("resume={last}",), table(lambda f: f[f["subject"] != "s0"])),
    Case("init_weights: other backbone", "CheckpointError: init_weights: expected a network with backbone test_efficientnet, got test_resnet in '{best}'; set model.backbone to it", ("init_weights={best}", "model.backbone=test_efficientnet")),
    Case("init_weights: foreign", "CheckpointError: {files}/foreign.pth: expected a FaceFlow checkpoint, got a file without its 'faceflow' entry; for weights of a timm network use model.weights", ("init_weights={files}/foreign.pth",)),
    Case("test: no checkpoint", "ConfigError: checkpoint: expected a value, got none; add checkpoint=... to the command", command="test"),
    Case("test: truncated", "CheckpointError: {files}/truncated.ckpt: expected a whole torch file, got a truncated or foreign one; copy it again", ("checkpoint={files}/truncated.ckpt",), command="test"),
    Case("test: code", "CheckpointError: {files}/code.pth: expected tensors and plain values only, got pickled code (posix.mkdir); *", ("checkpoint={files}/code.pth",), command="test"),
    Case("test: foreign", "CheckpointError: {files}/foreign.pth: expected a FaceFlow checkpoint, got a file without its 'faceflow' entry; *", ("checkpoint={files}/foreign.pth",), command="test"),
    Case("test: other AUs", "DataError: data: expected labels of the checkpoint's AUs (AU1, AU6, AU12), got AU9; test on data that share an AU", ("checkpoint={best}",), table(lambda f: f.assign(AU9=f["AU1"]).drop(columns=["AU1", "AU6", "AU12"]).assign(subject=lambda g: "x" + g["subject"])), command="test"),
    Case("test: nobody unseen", "DataError: data: expected subjects that the checkpoint has not seen, got none (* images of training and validation subjects left out); *", ("checkpoint={best}", "data.sources.csv.name=faces"), table(lambda f: f[f["subject"] == "s0"]), command="test"),
    Case("test: subset", "ConfigError: subset: expected unseen or all, got 'nonsense'; did you mean 'unseen'?", ("checkpoint={best}", "subset=nonsense"), command="test"),
    Case("test: view", "ConfigError: views=storng: expected an option of 'views'; did you mean 'strong'?", ("checkpoint={best}", "views=[weak,storng]"), command="test"),
    Case("test: accelerator", "ConfigError: accelerator: You selected an invalid accelerator name*", ("checkpoint={best}", "accelerator=nonsense"), command="test"),
]
FIXMATCH = ("method=fixmatch", "unlabeled={images}")
METHODS = [
    Case("no unlabelled faces", "ConfigError: unlabeled: expected unlabelled faces, which this method learns from, got none; set unlabeled=FOLDER *", ("method=fixmatch",)),
    Case("no such folder", "DataError: data.unlabeled.own.*: expected *, got '/no'*", ("method=fixmatch", "unlabeled=/no")),
    Case("no images in the folder", "DataError: data.unlabeled.own.path: expected images (.jpg, *) in '{files}', got none of * files", ("method=fixmatch", "unlabeled={files}")),
    Case("only broken unlabelled images", "DataError: data.unlabeled.own.path: expected images in '{folder}/broken', got none of 2 files, 0 excluded and 2 broken: 'a.jpg' (an empty file), *", ("method=fixmatch", "unlabeled={folder}/broken"), broken_folder),
    Case("exclusion that excludes nothing", "ConfigError: data.unlabeled.own.exclude: expected patterns and lists that exclude an image, got 's77/*', which matches none of 40 paths such as 's0/0.jpg'; correct it", (*FIXMATCH, "data.unlabeled.own.exclude=[s77/*]")),
    Case("only held-out faces", "DataError: data.unlabeled: expected faces of subjects that are not in val or test, got none of *", ("method=fixmatch", "data.train={folder}/a.csv", "data.val={folder}/b.csv", "unlabeled={folder}/b.csv", "data.unlabeled.own.images={images}"), parts(a=range(6), b=range(6, 10)), SPLITS),
    Case("cutoff", "ConfigError: method.fixmatch.p_cutoff: expected a probability in (0.5, 1], got 0.5", (*FIXMATCH, "method.fixmatch.p_cutoff=0.5")),
    Case("method under another key", "ConfigError: method.keep.weight: expected a number >= 0, got -1", ("+method.keep={{_target_:faceflow.methods.miro.MIRO,weight:-1,lr_mult:1,variance_init:1,epsilon:0.1,normalize:none,freeze_batch_norm:true}}",)),
    Case("lambda below 0", "ConfigError: method.fixmatch.lambda_u: expected a weight >= 0, got -1", (*FIXMATCH, "method.fixmatch.lambda_u=-1")),
    Case("lambda above the bound", "ConfigError: method.defixmatch.lambda_u: expected a weight in [0, 0.5], got 0.6; a larger weight makes the loss unbounded below", ("method=defixmatch", "method.defixmatch.lambda_u=0.6")),
    Case("mu", "ConfigError: loader.mu: expected a whole number >= 1, got 0", (*FIXMATCH, "loader.mu=0")),
    Case("steps of an epoch", "ConfigError: loader.steps_per_epoch: expected a whole number >= 1, or null, got 0", (*FIXMATCH, "loader.steps_per_epoch=0")),
    Case("share of labelled subjects", "ConfigError: split.labeled: expected *, got 0", ("split.labeled=0",)),
    Case("teacher without an average", "ConfigError: method: teacher=ema needs the network's average, got none; add average=ema", (*FIXMATCH, "method.fixmatch.teacher=ema", "average=none")),
    Case("weight of MIRO", "ConfigError: method.miro.weight: expected a number >= 0, got -1", ("method=miro", "method.miro.weight=-1")),
    Case("no end: ramp-up", "ConfigError: method.fixmatch.ramp_up: expected a run of known length, *, or method.fixmatch.ramp_up=0", ("trainer.max_epochs=-1", "scheduler=constant", *FIXMATCH)),
    Case("resume: FixMatch after supervised", "CheckpointError: resume: expected method=supervised as in '{last}', got fixmatch; *", ("resume={last}", *FIXMATCH)),
]
# fmt: on
CASES = [*METHODS, *LABELS, *IMAGES, *SUBJECTS, *KEYS, *NUMBERS, *FILES]
