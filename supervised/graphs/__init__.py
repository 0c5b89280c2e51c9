"""Models that read graphs: molecules, as SDF records or SMILES strings → several real numbers with a spread.

Reading order: `descriptors` (computed properties of a molecule), `lipophilicity` (log P by atom types),
`features` (arrays of a graph, batches), `graph_network` (message passing, an ensemble of networks),
`graph_regressor` (keys, fit, inference), `molecule_baselines`, `contributions` (which atoms matter),
`depiction` (drawing in two dimensions). Molecules themselves are in `supervised.data.molecules`.
"""
