"""Catalogue of generative models by name; see `sim.catalog` for how a name is looked up."""

SAMPLERS = {
    "diffusion": "generative.diffusion.image_diffusion:Diffusion",
    "one-step": "generative.diffusion.consistency:OneStep",
    "text_to_image": "generative.diffusion.text_to_image:TextToImage",
    "vae": "generative.models.vae:VAE",
    "gan": "generative.models.gan:GAN",
    "flow": "generative.models.flow:Flow",
    "image-flow": "generative.models.image_flow:ImageFlow",
    "deepcluster": "generative.models.deepcluster:DeepCluster",
}
