"""Catalogues of generative models, and of worlds that are models; see `sim.catalog` for the lookup."""

SAMPLERS = {
    "diffusion": "generative.diffusion.image_diffusion:Diffusion",
    "one-step": "generative.diffusion.consistency:OneStep",
    "text_to_image": "generative.diffusion.text_to_image:TextToImage",
    "vae": "generative.models.vae:VAE",
    "gan": "generative.models.gan:GAN",
    "flow": "generative.models.flow:Flow",
    "image-flow": "generative.models.image_flow:ImageFlow",
    "deepcluster": "generative.models.deepcluster:DeepCluster",
    "world-model": "generative.dream.world_model:DiffusionWorldModelConfig",
}

#: Families of worlds that are models, as `sim.catalog.WORLDS` has those that are simulators.
#:
#: Keys of their configuration called ``checkpoint``, or ending in ``_checkpoint``, are paths; scenes give
#: them absolute. Who makes the worlds loads them with `sim.storage.checkpoints.load_checkpoint`, refuses
#: others with ``check_fits(…, kind=…, name=…)``, and puts the weights' SHA-256 into ``protocol()``.
WORLDS: dict[str, str] = {
    "dream": "generative.dream.world:Dream",
    "twin": "generative.twin.world:Twin",
}
