"""One look: files, the same bytes from the same figure, names that are no formulas."""

import matplotlib
import numpy as np

from mlgenn_delays.analysis.style import AFTER, SERIES, Picture, look, panels


def picture(label="time (ms)"):
    with look():
        figure, axes = panels(1, 2)
        axes[0, 0].plot([0, 1], [1, 2], color=AFTER)
        axes[0, 0].set(xlabel=label, ylabel="spikes")
        axes[0, 1].scatter([0, 1], [2, 3])
    return Picture("two-panels", "Two panels", "What is seen.", figure)


def test_files(tmp_path):
    drawn = picture()
    files = drawn.save(tmp_path / "new")
    assert [file.name for file in files] == ["two-panels.png", "two-panels.svg"]
    assert sorted((tmp_path / "new").iterdir()) == sorted(files)
    assert files[0].read_bytes() == drawn.png() and files[0].read_bytes()[:4] == b"\x89PNG"
    assert files[1].read_bytes() == drawn.svg() and b"</svg>" in files[1].read_bytes()


def test_the_same_figure_gives_the_same_bytes_whatever_the_users_look():
    one, two = picture(), picture()
    usual = one.svg()
    assert usual == one.svg() == two.svg() and one.png() == two.png()
    assert b"<dc:date>" not in usual
    # Dollars are no formula.
    labels = [picture(label).svg() for label in ("other", "$5 or $6_{", "5 or 6")]
    assert len({usual, *labels}) == 4
    with matplotlib.rc_context({"axes.grid": True, "font.size": 20, "axes.titleweight": "bold"}):
        assert picture().svg() == usual
    before = dict(matplotlib.rcParams)
    assert "matplotlib.pyplot" not in str(type(picture().figure.canvas))
    assert dict(matplotlib.rcParams) == before


def luminance(color):
    values = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_series_are_colours_of_their_own_that_can_be_seen():
    assert len({color.lower() for color in SERIES}) == len(SERIES)
    for color in SERIES:
        assert 1.05 / (luminance(color) + 0.05) > 1.8, color
