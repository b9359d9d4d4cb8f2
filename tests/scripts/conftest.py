"""Settings of the tests of commands."""

import pytest


@pytest.fixture(autouse=True)
def _short_reports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the repository's own results and the charts' library out of reports of sessions."""
    if "session" in request.path.stem:
        monkeypatch.setattr("scripts.session_page.OTHERS", ())
        monkeypatch.setattr("benchmarks.report.session_page.vega_script", lambda: "")
