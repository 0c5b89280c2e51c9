"""Hyperparameter sweeps: Optuna's study in a folder, its trials trained by worker processes or by Ray Tune.

In: a scene, a search space (scene key → range) and a number of trials. Out: a folder with one ordinary run
folder for each seed of each trial, the study, and its report.

    <sweep>/sweep.json                what is searched: space, budget, seeds, metric
            scene.toml                the scene of all trials, before their hyperparameters
            journal.log               Optuna's study (JournalStorage): parameters, scores, states
            trials/<number>-seed<n>/  ordinary run folders
            locks/                    who claims, writes and trains now
            logs/                     what the worker processes said
            report.json report.html report.png parameters.png

Reading order: `search_space`, `folder`, `study` (who trains which trial), `scoring`, `trial` (training and
pruning), `worker` and `process_pool` (this machine), `ray_tune` (a cluster), `report`, `figures`, `page`,
`command`.
"""
