"""MuJoCo locomotion: gymnasium's Walker2d, Hopper, HalfCheetah, Ant and Humanoid, and robots from MJCF files.

In: actions (N, motors) float32 within bounds, in units of the motors' gear (N·m). Out: observations
(N, D) float64 in m, rad, m/s, rad/s, N and N·m; rewards (N,) and endings as in gymnasium's v5;
pictures (H, W, 3) uint8. Does not know: other worlds, agents, torch.

Reading order: `reward` (observations and rewards, pure arrays), `simulation` (MuJoCo, batched; its model
from `contact_pairs`), `walkers` (both together), `world` (the catalogue's entry, as a batch and as one
environment); `perturbations` (masses, friction, motors, latency, pushes and slopes drawn for each episode);
then `camera` and `rendering/` (software, OpenGL); `anatomy` (parts and keypoints by name) and `truth`
(ground truth of pictures), `labelled_episodes` (pictures with ground truth, to train on); `contacts`
(ground forces, feet), `gait` (what an evaluation tells beside the return) and `push` (a person's force);
and `interactive_renderer`, which brings camera, contacts and pushes to the window.

On a GPU: `warp/`. Rewards of one's own: `tasks/` (named terms, weighted by a scene), `mjcf` (robots from
files).

To add a body: a line in `reward.BODIES` and in `camera.FACING`, its limbs' colours in
`rendering.palette.LIMBS`, its parts, keypoints and bones in `anatomy`, its feet in `contacts.FEET`;
`tests/sim/test_walker.py` compares it with gymnasium's from then on, and `test_walker_truth.py` its pictures
with their truth.
"""
