"""What `spikelet run` takes, and how it lists what it found: however samples are given, they are the same samples."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from spikelet.cli import listing
from spikelet.cli.app import app
from spikelet.data import load

Image = pytest.importorskip("PIL.Image")
Command = Callable[..., Any]


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """Eight test digits, [N, C, H, W]."""
    return load("digits").test.x[:8].numpy()


@pytest.fixture
def scans(digits: np.ndarray, tmp_path: Path) -> Path:
    """A folder of the digits as pictures, some of them deeper, beside what is no picture."""
    (tmp_path / "scans" / "more").mkdir(parents=True)
    for n, digit in enumerate(digits):
        Image.fromarray(digit[0]).save(tmp_path / "scans" / ("more" if n > 5 else ".") / f"{n}.png")
    (tmp_path / "scans" / "read me.txt").write_text("pictures")
    (tmp_path / "scans" / ".hidden.png").write_bytes(b"")
    return tmp_path / "scans"


def lines_of(done: Any) -> list[dict[str, Any]]:
    """The objects that --json printed."""
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def found(done: Any) -> list[Any]:
    """What --json says of the samples, but for their names."""
    return [line["top"] for line in lines_of(done)]


@pytest.fixture
def expected(packed: Path, digits: np.ndarray, tmp_path: Path, command: Command) -> list[Any]:
    """What is found of each digit given alone, as an array."""
    for n, digit in enumerate(digits):
        np.save(tmp_path / f"{n}.npy", digit)
    return [found(command("run", packed, tmp_path / f"{n}.npy", "--json"))[0] for n in range(len(digits))]


def test_a_folder_is_its_pictures_by_name(scans: Path, packed: Path, expected: list[Any], command: Command) -> None:
    done = command("run", packed, scans, "--json")
    assert found(done) == expected
    names = [line["input"] for line in lines_of(done)]
    assert names == [*(str(scans / f"{n}.png") for n in range(6)), *(str(scans / "more" / f"{n}.png") for n in (6, 7))]
    shown = command("run", packed, scans)
    assert f"{scans}: 1 of 9 files are neither pictures nor arrays, such as 'read me.txt'." in shown.stderr


def test_a_pattern_that_no_shell_expanded_is_what_matches(
    scans: Path, packed: Path, expected: list[Any], command: Command
) -> None:
    assert found(command("run", packed, scans / "*.png", "--json")) == expected[:6]
    assert found(command("run", packed, scans / "**" / "*.png", "--json")) == expected
    assert found(command("run", packed, scans / "m??e", "--json")) == expected[6:]
    (scans / "[1].png").write_bytes((scans / "3.png").read_bytes())
    assert found(command("run", packed, scans / "[1].png", "--json")) == expected[3:4], "a file of that very name"


@pytest.mark.parametrize("kind", ["png", "npy", "npz"])
def test_the_standard_input_is_a_picture_or_an_array(
    kind: str, scans: Path, packed: Path, digits: np.ndarray, expected: list[Any]
) -> None:
    sent = io.BytesIO()
    if kind == "png":
        sent.write((scans / "0.png").read_bytes())
    elif kind == "npy":
        np.save(sent, digits[0])
    else:
        np.savez_compressed(sent, x=digits[:1])
    done = CliRunner().invoke(app, ["run", str(packed), "-", "--json"], input=sent.getvalue())
    assert found(done) == expected[:1]


def test_samples_of_one_array_are_those_samples(
    packed: Path, digits: np.ndarray, tmp_path: Path, expected: list[Any], command: Command
) -> None:
    frames = np.stack([digits, digits[::-1]])  # [T, N, C, H, W]
    np.save(tmp_path / "images.npy", np.asfortranarray(digits))
    np.save(tmp_path / "frames.npy", frames)
    np.savez(tmp_path / "all.npz", labels=np.arange(8, dtype=np.uint8), x=digits[:3], again=digits[3:])
    images = command("run", packed, tmp_path / "images.npy", "--json")
    assert found(images) == expected
    assert lines_of(images)[7]["input"] == f"{tmp_path / 'images.npy'}[7]"
    zipped = command("run", packed, tmp_path / "all.npz", "--json")
    assert found(zipped) == expected
    assert lines_of(zipped)[3]["input"] == f"{tmp_path / 'all.npz'}:again[0]"
    for n in range(8):
        np.save(tmp_path / f"of{n}.npy", frames[:, n])
    alone = [found(command("run", packed, tmp_path / f"of{n}.npy", "--json"))[0] for n in range(8)]
    assert found(command("run", packed, tmp_path / "frames.npy", "--json")) == alone
    mixed = command("run", packed, tmp_path / "of3.npy", tmp_path / "0.npy", tmp_path / "of4.npy", "--json")
    assert found(mixed) == [alone[3], expected[0], alone[4]]


def test_as_many_images_as_steps_are_frames_unless_the_axes_are_said(
    packed: Path, digits: np.ndarray, tmp_path: Path, expected: list[Any], command: Command
) -> None:
    np.save(tmp_path / "two.npy", digits[:2])
    done = command("run", packed, tmp_path / "two.npy", "--json")
    assert "2 frames of one sample (2 images are --axes NCHW)" in lines_of(done)[0]["read"]
    assert len(lines_of(done)) == 1
    assert found(command("run", packed, tmp_path / "two.npy", "--axes", "NCHW", "--json")) == expected[:2]
    refused = command("run", packed, tmp_path / "two.npy", "--axes", "TNCHW")
    assert "must hold uint8 of shape [2, N, 1, 8, 8], axes TNCHW; got uint8 [2, 1, 8, 8]." in refused.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04" + bytes(100), "is not an .npz file, or it is damaged. Save it anew."),
        (b"\x93NUMPY", "is not an .npy file, or its header is damaged."),
        (b"<html>", "it is a web page"),
        (None, "x: int64 [2]"),
    ],
)
def test_damaged_archives_are_one_line(content: bytes | None, said: str, packed: Path, tmp_path: Path) -> None:
    if content is None:
        out = io.BytesIO()
        np.savez(out, x=np.arange(2))
        content = out.getvalue()
    done = CliRunner().invoke(app, ["run", str(packed), "-"], input=content)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
    assert done.stderr.startswith("error: -")
    assert said in done.stderr


def test_a_run_folder_is_the_file_that_pack_makes_of_it(
    trained: Path, packed: Path, scans: Path, command: Command
) -> None:
    assert command("run", trained, scans, "--json").stdout == command("run", packed, scans, "--json").stdout


def test_an_inverted_sample_is_255_minus_it(
    packed: Path, digits: np.ndarray, tmp_path: Path, expected: list[Any], command: Command
) -> None:
    Image.fromarray(255 - digits[0, 0]).save(tmp_path / "black.png")
    np.save(tmp_path / "black.npy", 255 - digits[0])
    for name in ("black.png", "black.npy"):
        done = command("run", packed, tmp_path / name, "--invert", "--json")
        assert found(done) == expected[:1]
        assert lines_of(done)[0]["read"].endswith(", inverted")


def test_black_on_white_is_remarked_where_the_training_is_known_to_be_white_on_black(
    packed: Path, digits: np.ndarray, scans: Path, tmp_path: Path, command: Command
) -> None:
    Image.fromarray(255 - digits[0, 0]).save(tmp_path / "black.png")
    np.save(tmp_path / "black.npy", 255 - digits[0])
    remark = "is dark on light, and digits, which the network learned from, is light on dark. Try --invert."
    assert remark in command("run", packed, tmp_path / "black.png").stderr
    for words in (
        (packed, tmp_path / "black.png", "--invert"),
        (packed, tmp_path / "black.png", "--quiet"),
        (packed, scans / "0.png"),
        (packed, tmp_path / "black.npy"),
        ("qsnn-vgg-s-cifar10", tmp_path / "black.png"),
    ):
        assert "dark on light" not in command("run", *words).output
    both = command("run", packed, tmp_path / "black.png", scans / "0.png").stderr
    assert "1 of 2 pictures are dark on light" in both


def test_csv_has_a_row_a_sample_and_columns_for_every_class_asked_for(
    packed: Path, scans: Path, tmp_path: Path, expected: list[Any], command: Command
) -> None:
    done = command("run", packed, scans, "--csv", tmp_path / "found.csv", "--top", 2)
    assert f"saved {tmp_path / 'found.csv'}" in done.stdout
    printed = command("run", packed, scans, "--csv", "-", "--top", 2).stdout
    assert printed == (tmp_path / "found.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert [(r["class"], int(r["logit"])) for r in rows] == [(top[0]["class"], top[0]["logit"]) for top in expected]
    assert [r["class_2"] for r in rows] == [top[1]["class"] for top in expected]
    plain = command("run", packed, scans, "--csv", "-").stdout
    assert plain.splitlines()[0] == "input,class,score,logit"
    both = command("run", packed, scans, "--json", "--csv", tmp_path / "again.csv")
    assert len(lines_of(both)) == 8
    assert (tmp_path / "again.csv").read_text() == plain


def test_many_samples_get_a_row_each_and_very_many_their_classes(
    packed: Path, digits: np.ndarray, scans: Path, tmp_path: Path, command: Command
) -> None:
    text = command("run", packed, scans).stdout
    assert sum(str(scans) in line for line in text.splitlines()) == 8
    assert "8 samples by class" in text
    assert len(text.splitlines()) < 2 * 8 + 10
    np.save(tmp_path / "many.npy", np.tile(digits, (10, 1, 1, 1)))
    text = command("run", packed, tmp_path / "many.npy").stdout
    assert f"The {listing.LEAST_SURE} of 80 samples that are least sure" in text
    assert "80 samples by class" in text
    assert len(text.splitlines()) < 40
    whole = command("run", packed, scans, "--top", 1).stdout
    assert whole.count("used as it is") == 8, "a table each where the number of classes was asked for"


def test_quiet_leaves_the_result_alone(packed: Path, scans: Path, command: Command) -> None:
    done = command("run", packed, scans / "0.png", "--quiet")
    assert done.stderr == ""
    assert "used as it is" not in done.stdout
    assert str(scans / "0.png") in done.stdout
