"""The Python library behind `playfield.open`: opened scenes, loaded models, Stable-Baselines3 environments.

In: a scene's name and changes to its keys. Out: vector environments, policies, perceptions and samplers with
weights, answers of `evaluate`, iterators of training progress. It prints nothing: remarks go to the logger
``playfield``, progress to the `sim.progress.Reporter` of the caller. The verbs of the command line call it.

Reading order: `opened_scene`, `loaded`, `evaluate`, `arguments`, `sb3_vec_env`.
"""
