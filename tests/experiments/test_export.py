"""A run's network written from the command line."""

from pathlib import Path

RESIDUAL = ("--coupling", "cascade.refinement.residual")


def test_export_writes_what_compiles_without_us(finished: Path, tmp_path: Path, place, mechlearn_) -> None:
    answer = mechlearn_("export", finished, "--to", "c", "--out", tmp_path / "c", *RESIDUAL, "--name", "correction")
    assert answer.code == 0, answer
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"correction.h", "correction.c", "correction_test.c"}
    assert "reads" in answer.out and "precipitation_mean_1 (mm day-1)" in answer.out
    header = (tmp_path / "c" / "correction.h").read_text()
    assert "x[0]" in header and "runoff (mm day-1)" in header
    again = mechlearn_("export", finished, "--to", "fortran", "--out", tmp_path / "f", *RESIDUAL)
    assert again.code == 0 and (tmp_path / "f" / "cascade_refinement_residual.f90").is_file()


def test_what_cannot_be_exported_is_refused(finished: Path, tmp_path: Path, place, refused) -> None:
    start = ("export", finished, "--to", "c", "--out", tmp_path / "c")
    assert "--coupling" in refused(*start) and "learner_only" in refused(*start)
    assert "did you mean 'learner_only'" in refused(*start, "--coupling", "learner_ony")
    assert "learners of kind mlp" in refused(*start, "--coupling", "mechanism_only")
    assert "seeds 0 to 0" in refused(*start, *RESIDUAL, "--seed", "4")
    assert "begin with a letter" in refused(*start, *RESIDUAL, "--name", "7up")
    assert "no site" in refused(*start, *RESIDUAL, "--site", "Rhine")
