"""The table of identities, made from `minidgm.checks.identities()` when the documentation is built.

``.. identities::`` lists the catalogue; ``.. identities:: RBM`` those that apply to a model, each with its
worst error in a check run while building, so that the table is a measurement and not a promise.
"""

import inspect
import re
from pathlib import Path

from beside import ROOT, locate
from docutils import nodes
from sources import source_link
from sphinx.util.docutils import SphinxDirective

# The hand-written test of an identity, beside the property that the checker runs; {} is test_rbm or test_bm.
TABLE = "tests/boltzmann/{}.py::test_densities_and_conditionals_from_the_energy_table"
DIFFERENCE = "tests/boltzmann/{}.py::test_weighted_gradients_by_difference"
GIBBS = "tests/boltzmann/{}.py::test_gibbs_keeps_the_exact_distribution"
PARITY = "tests/boltzmann/{}.py::test_backend_parity"
EITHER = "tests/checks/test_identities.py::test_bernoulli_models"
TESTS = {
    "normalisation": TABLE,
    "exact likelihood": TABLE,
    "free energy": TABLE,
    "hidden free energy": TABLE,
    "conditionals": TABLE,
    "conditionals factorise": TABLE,
    "chain rule": TABLE,
    "precisions and backends agree": PARITY,
    "save and load": "tests/test_serialization.py",
    "weighted energy gradient": DIFFERENCE,
    "free energy gradient": DIFFERENCE,
    "Gibbs stationarity": GIBBS,
    "Geweke's joint test": GIBBS,
    "unit cumulants": "tests/boltzmann/test_units.py::test_cumulants_are_derivatives",
    "mean-field bound": "tests/boltzmann/test_bm.py::test_mean_field_ascends_the_bound_to_a_fixed_point",
    "enhanced gradient": "tests/boltzmann/test_rbm.py::test_enhanced_gradient_is_the_centred_one_moved_back",
    "pseudo-likelihood": "tests/evaluation/test_monitor.py::test_pseudo_likelihood_from_the_enumerated_joint",
    "annealed importance weights": "tests/evaluation/test_ais.py"
    "::test_mean_weight_over_every_path_is_the_ratio_of_partition_functions",
    "annealing between models": "tests/evaluation/test_ais.py::test_mean_weight_between_two_models",
    "tempered energy": "tests/evaluation/test_path.py::test_ends_of_a_path_are_the_base_and_the_model",
    "exact likelihood objective": "tests/objectives/test_exact_likelihood.py"
    "::test_gradient_of_the_enumerated_likelihood",
    "contrastive divergence is unbiased": "tests/objectives/test_contrastive_divergence.py"
    "::test_unbiased_for_the_exact_cd",
    "CD-infinity is maximum likelihood": "tests/objectives/test_contrastive_divergence.py"
    "::test_cd_infinity_is_maximum_likelihood",
    "persistent chains at the model": "tests/objectives/test_persistent.py::test_chains_at_p_stay_at_p",
    "batches of any size": "tests/objectives/test_persistent.py::test_unequal_numbers_of_rows_and_chains",
    "tempering stationarity": "tests/samplers/test_tempering.py::test_exchange_is_stationary_by_its_matrix",
    "tempered chains stay": "tests/samplers/test_tempering.py::test_product_distribution_stays",
    "pseudo-likelihood objective": "tests/objectives/test_alternatives.py::test_gradient_of_the_objective",
    "ratio matching objective": "tests/objectives/test_alternatives.py::test_gradient_of_the_objective",
    "Toeplitz weights": "tests/boltzmann/test_convolution.py::test_detectors_correlate_and_images_convolve",
    "probabilistic max pooling": "tests/boltzmann/test_pooled.py::test_distribution_from_its_states",
    "shared gradients": "tests/boltzmann/test_convolution.py::test_hot_twins_in_chunks_of_any_size",
    "sparsity of filters": "tests/boltzmann/test_conv_rbm.py::test_sparsity_pulls_every_filter_to_its_target",
    "mixture of Gaussians": "tests/boltzmann/test_gaussian_rbm.py::test_density_is_the_mixture_written_out",
    "gradient of centred hidden units": "tests/checks/test_power_real_valued.py::test_wrong_model_dies",
    "slabs summed out": "tests/boltzmann/test_ssrbm.py"
    "::test_density_from_gaussian_integrals_of_the_texts_energy",
    "covariance of slabs": "tests/boltzmann/test_ssrbm.py"
    "::test_density_from_gaussian_integrals_of_the_texts_energy",
    "recognition bound": "tests/boltzmann/test_dbn.py"
    "::test_densities_and_bounds_are_sums_over_all_hidden_states",
    "mirrored layer": "tests/boltzmann/test_greedy.py::test_mirror_image_by_fit",
    "greedy steps raise the bound": "tests/boltzmann/test_greedy.py"
    "::test_exact_greedy_training_raises_the_exact_bound",
    "up-down gradient": "tests/checks/test_power_deep_belief.py::test_wrong_up_down_dies",
    "energy descent": "tests/boltzmann/test_hopfield.py"
    "::test_descent_ends_in_a_local_minimum_and_never_rises",
    "zero temperature": "tests/boltzmann/test_hopfield.py"
    "::test_gibbs_at_falling_temperature_becomes_the_descent",
    "annealed frames": "tests/evaluation/test_frames.py::test_weights_average_to_the_partition_function",
    "chains of frames stay": "tests/boltzmann/test_biased_rbms.py"
    "::test_chains_leave_every_distribution_as_it_is",
    "likelihood of sequences": "tests/boltzmann/test_biased_rbms.py::test_expected_gradient_is_that_of_log_z",
    "contrastive divergence of sequences": "tests/objectives/test_conditional.py"
    "::test_many_sweeps_tend_to_the_likelihood",
}


class Identities(SphinxDirective):
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        from minidgm import checks, registry

        catalogue = {identity.name: identity for identity in checks.identities()}
        head = ["", "identity", "equation", "source", "likely cause when it fails"]
        measured = {}
        if self.arguments:
            report = checks.check_model(registry.models()[self.arguments[0]], max_examples=10, raises=False)
            if not report.ok:
                raise self.error(str(report))
            measured = {result.name: result for result in report.results}
            catalogue = {name: catalogue[name] for name in measured}
            head = ["", "identity", "equation", "source", "worst error", "allowed", "test"]
        rows = []
        for name, identity in sorted(catalogue.items(), key=lambda item: order(item[1].number)):
            equation = nodes.literal("", identity.equation)
            cells = [identity.number, self.link(identity), equation, identity.source]
            if measured:
                cells += [f"{measured[name].worst_error:.1g}", f"{measured[name].tolerance:.1g}"]
                cells.append(self.test(name))
            else:
                cells.append(identity.likely_cause)
            rows.append(cells)
        return [table(head, rows)]

    def link(self, identity) -> nodes.Node:
        """The identity's name, linking to the function that states it."""
        function = inspect.unwrap(identity.function)
        path = Path(inspect.getsourcefile(function)).resolve().relative_to(ROOT)
        line = inspect.getsourcelines(function)[1]
        return source_link(self.env, path.as_posix(), line, identity.name)

    def test(self, name: str) -> nodes.Node:
        """A link to the test that proves an identity by hand, or to the one that runs the checker's."""
        from minidgm import registry

        module = registry.models().modules[self.arguments[0]]
        own = f"tests/{module.split('.')[1]}/test_{module.split('.')[-1]}.py"
        usual = EITHER if self.arguments[0] in ("RBM", "BoltzmannMachine") else own
        path, _, function = TESTS.get(name, usual).format(Path(own).stem).partition("::")
        try:
            line = locate(path, function)[0] if function else 1
        except (LookupError, OSError):  # this model's tests prove it under another name
            path, line = own, 1
        return source_link(self.env, path, line, Path(path).name)


def order(number: str) -> tuple[int, str]:
    """Sort 2 before 11 and 11 before 11a."""
    digits = re.match(r"\d*", number).group()
    return int(digits or 1000), number


def table(head: list, rows: list[list]) -> nodes.table:
    """A docutils table from cells that are text or nodes."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in head), cols=len(head))
    header, body = nodes.thead(), nodes.tbody()
    for target, cells in [(header, head), *((body, cells) for cells in rows)]:
        row = nodes.row()
        for cell in cells:
            content = cell if isinstance(cell, nodes.Node) else nodes.Text(str(cell))
            row += nodes.entry("", nodes.paragraph("", "", content))
        target += row
    group += [header, body]
    return nodes.table("", group, classes=["identities"])


def setup(app):
    app.add_directive("identities", Identities)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
