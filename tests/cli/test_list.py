"""``minidgm list`` and ``minidgm info``."""

from minidgm import registry


def test_list_names_everything(minidgm):
    shown = minidgm("list")
    assert shown.code == 0
    for kind in ("models", "objectives", "optimizers", "datasets"):
        assert all(name in shown.out for name in getattr(registry, kind)())


def test_list_as_json(minidgm):
    found = minidgm("list", "--json").json
    assert set(found["models"]) == set(registry.models())
    assert set(found["datasets"]) == set(registry.datasets())
    assert all(line for entries in found.values() for line in entries.values())


def test_list_of_one_kind(minidgm):
    assert set(minidgm("list", "objectives", "--json").json) == {"objectives"}


def test_info_shows_equations_reference_and_identities(minidgm):
    shown = minidgm("info", "rbm")
    assert shown.code == 0
    assert "E(v, h) = -b.v - c.h - v^T W h" in shown.out
    assert "Smolensky" in shown.out
    assert "free energy" in shown.out
    assert "ContrastiveDivergence" in shown.out


def test_info_of_every_model_is_complete(minidgm):
    for name in registry.models():
        page = minidgm("info", name, "--json").json
        assert page["name"] == name
        assert page["equations"]
        assert page["reference"]
        assert len(page["identities"]) >= 5
        assert page["objectives"] or name == "KDE"
        assert page["source"].endswith(".py")
