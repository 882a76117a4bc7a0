from minidgm import RBM, BoltzmannMachine
from minidgm.checks import check_model, parametrize_with_identities


@parametrize_with_identities([RBM, BoltzmannMachine(2, 1)], ["8", "weighted energy gradient"])
def test_as_a_user_writes_it(model, identity):
    assert check_model(model, identity, max_examples=2).ok


def test_pairs_that_do_not_apply_are_left_out():
    mark = parametrize_with_identities([RBM, BoltzmannMachine], ["hidden free energy", "free energy"]).mark
    ids = [p.id for p in mark.args[1]]
    assert ids == ["RBM-hidden free energy", "RBM-free energy", "BoltzmannMachine-free energy"]
    assert mark.args[0] == ("model", "identity")
