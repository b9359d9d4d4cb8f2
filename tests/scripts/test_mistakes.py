"""A user's mistake is one clear line and exit code 2, whatever the command."""

from pathlib import Path

import pytest

from scripts import main as cli


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("collect --task juggle --out {new}", "unknown task 'juggle'; known:"),
        ("collect --operator drunk --out {new}", "unknown operator 'drunk'; known: clean, fast"),
        ("collect --robot spot --out {new}", "unknown arm 'spot'; known: koch, openarm, viperx"),
        ("collect --task wipe --robot koch --out {new}", "cannot do wipe: the board is wider than"),
        (
            "collect --task transfer --robot viperx --out {new}",
            "it takes two arms at one table",
        ),
        (
            "collect --task pour --randomise object_size/L2 --out {new}",
            "does not apply to pour",
        ),
        ("collect --randomise language/L1 --out {new}", "every episode asks for the same"),
        ("collect --randomise object_pose/L4 --out {new}", "unknown level 'L4'; known: L1, L2, L3"),
        ("collect --strategy left --out {new}", "pick_place can be done in one way: leave out"),
        (
            "collect --task two_ways --strategy up --out {new}",
            "share of left ways 0..1, got 'up",
        ),
        ("train --algo bc --stream wipe --robot koch --out {new}", "cannot do wipe: the board is"),
        ("train --algo pi0 --data {empty} --out {new}", "pi0 does not learn on the state track"),
        (
            "collect --out {new} --executor submitit --slurm cluster=pbs",
            "known: slurm, local, debug",
        ),
        ("collect --episodes 0 --out {new}", "episodes must be at least 1, got 0"),
        ("collect --cameras wrist --out {new}", "--cameras belongs to --pixels: no pictures are"),
        ("collect --workers 0 --out {new}", "workers must be at least 1, got 0"),
        ("collect --out {file}", "cannot be written"),
        ("teleop --task juggle --out {new}", "unknown task 'juggle'; known: "),
        ("teleop --robot spot --out {new}", "unknown arm 'spot'; known: koch, openarm, viperx"),
        ("teleop --task wipe --robot koch --out {new}", "cannot do wipe: the board is wider than"),
        ("teleop --port 70000 --out {new}", "--port must be 0..65535, got 70000"),
        ("teleop --image-size 64 --out {new}", "--image-size belongs to --pixels: no pictures are"),
        ("teleop --limit 1 --out {new}", "--limit must be 8 s"),
        ("teleop --out {file}", "cannot be written"),
        ("teleop --out {torn}", "holds episodes but no dataset.json"),
        (
            "experiment dreams --out {new}",
            "unknown experiment 'dreams'; known: camera_shift, chunking",
        ),
        ("experiment modes --task wipe --out {new}", "needs a task that leaves a choice, got wipe"),
        ("experiment data_scaling --at 7 --out {new}", "has no cell at '7'; known: 10, 25, 50"),
        ("experiment sim2real --gap none --out {new}", "unknown gap 'none'; known: hard, ordinary"),
        ("experiment data_scaling --gap ordinary --out {new}", "leave out --gap"),
        (
            "experiment sim2real --pretrain 0 --out {new}",
            "--pretrain must be at least 2 episodes, got 0",
        ),
        ("experiment data_scaling --workers 0 --out {new}", "workers must be at least 1, got 0"),
        (
            "experiment data_scaling --algo magic --out {new}",
            "unknown algorithm 'magic'; known: act",
        ),
        ("diagnose {empty} --data {empty}", "is not a run folder: it has no manifest.json"),
        ("diagnose {new} --data {empty} --propose -1", "--propose must be at least 0, got -1"),
        ("collect --gap soft --out {new}", "unknown gap 'soft'; known: hard, none, ordinary"),
        ("collect --starts {file} --out {new}", "is no file of starts"),
        ("inspect {new}", "new"),
        ("inspect {empty}", "holds none"),
        ("inspect {torn} --films -1", "--films must be at least 0, got -1"),
        ("inspect {torn} --rows -1", "--rows must be at least 0, got -1"),
        ("train --algo magic --data {empty} --out {new}", "unknown algorithm 'magic'; known: act"),
        ("train --algo bc --data {new} --out {empty}", "not a folder of demonstrations"),
        ("train --algo bc --data {empty} --out {new}", "holds no episode"),
        ("train --algo bc --data {torn} --out {new}", "move the file away or collect it again"),
        ("inspect {torn}", "no episode can be used; episode_0.hdf5: is not a readable HDF5"),
        ("evaluate --policy floor:replay:{torn} --results {new}", "is not a readable HDF5 file"),
        ("collect --out {torn}", "holds episodes but no dataset.json"),
        ("train --algo bc --preset huge --data {empty} --out {new}", "known: cpu, paper, quick"),
        (
            "evaluate --policy {new} --protocol juggle/v1",
            "unknown protocol 'juggle/v1'; known:",
        ),
        ("evaluate --policy {new} --results {empty}", "not a checkpoint folder"),
        ("evaluate --policy {empty} --results {new}", "cannot be read"),
        ("evaluate --policy floor:guess --results {new}", "unknown floor 'guess'; known: hold"),
        ("evaluate --policy floor:hold --conditions rain/L1 --results {new}", "unknown condition"),
        (
            "evaluate --policy floor:hold --protocol pour/v1 --conditions object_size/L2 "
            "--results {new}",
            "condition 'object_size/L2' does not apply to pour: another cup would not hold as many",
        ),
        (
            "evaluate --policy floor:hold --protocol pick_place/v2 --conditions object_pose/L7 "
            "--results {new}",
            "known: nominal, object_pose/L1|L2|L3, home_pose/L1|L2|L3, ",
        ),
        (
            "evaluate --policy floor:hold --protocol pick_place/v2 --conditions lighting/L2 "
            "--results {new}",
            "condition 'lighting/L2' does not apply to the state track",
        ),
        ("show pour/v1 --ic 100 --out {new}", "ic must be 0..99 in pour/v1, got 100"),
        ("show pour/v1 --starts 300 --out {new}", "starts must be 1..200 in pour/v1, got 300"),
        ("evaluate --policy --results {new}", "--policy needs a checkpoint folder or a floor"),
        ("evaluate --policy floor:hold --trials 0 --results {new}", "trials must be 1.."),
        ("leaderboard --results {empty}", "there is no run"),
        ("view {new}", "new"),
        ("view {torn}", "a folder of episodes: name one, such as {torn}/episode_0.hdf5"),
        ("view {torn} --trial nominal/0", "a folder of episodes: name one, such as {torn}/ep"),
        ("view {torn}/episode_0.hdf5 --trial x", "--trial belongs to a run folder, and {torn}"),
        ("view {empty} --trial nominal/0", "is not a run folder: it has no manifest.json"),
        (
            "train --algo bc --data {torn} --out {new} --image-size 8 8",
            "--image-size belongs to --track pixels, got track 'state'",
        ),
        (
            "train --algo bc --data {torn} --out {empty}/../torn",
            "--out must be another folder than --data",
        ),
        (
            "train --algo vla --data {torn} --out {new} --lora-alpha 16",
            "--lora-alpha belongs to --lora: give that, too, or leave --lora-alpha away",
        ),
        (
            "train --algo vla --data {torn} --out {new} --lora-layers all",
            "--lora-layers belongs to --lora",
        ),
        (
            "train --algo bc --data {torn} --out {new} --randomise full --stream-seed 0",
            "--randomise, --stream-seed belong to --stream",
        ),
        *(
            (f"train --algo bc --data {{torn}} --out {{new}} {given}", "belongs to --stream")
            for given in (
                "--robot viperx",
                "--operator clean",
                "--recovery 0",
                "--randomise none",
                "--window 100",
                "--refresh 10",
            )
        ),
        ("train --algo bc --stream pick_place --window 1 --out {new}", "window must be at least 2"),
        ("plan --better 2", "got better 2"),
        ("bench --preset huge --out {new}", "unknown preset 'huge'; known: cpu, paper, quick"),
        ("bench --workers 0 --out {new}", "workers must be at least 1, got 0"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    words: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, file = tmp_path / "empty", tmp_path / "file"
    empty.mkdir()
    file.write_text("")
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "episode_0.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n half a file")
    places = {"new": tmp_path / "new", "empty": empty, "file": file, "torn": torn}
    assert cli.main([word.format(**places) for word in words.split()]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("armtrials: error: ")
    assert told.format(**places) in line
