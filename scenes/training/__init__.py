"""Training sessions: `session` calls `learn`, saves, logs, scores and stops between two yields.

`trainee` is the protocol of what is trained; `agents`, `perceptions` and `samplers` implement it. `resume`
says what a resumed run may change, `seeds` trains several seeds into one folder, `metric_encoder` makes the
encoder of the sample metrics.
"""
