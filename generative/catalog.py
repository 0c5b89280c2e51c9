"""Catalogue of generative models by name; see `sim.catalog` for how a name is looked up."""

SAMPLERS = {
    "diffusion": "generative.diffusion:Diffusion",
    "one-step": "generative.one_step:OneStep",
    "text_to_image": "generative.text_to_image:TextToImage",
    "vae": "generative.vae:VAE",
    "gan": "generative.gan:GAN",
    "flow": "generative.flow:Flow",
    "image-flow": "generative.image_flow:ImageFlow",
    "deepcluster": "generative.deepcluster:DeepCluster",
}
