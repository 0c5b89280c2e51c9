"""Gallery of generated samples on disk: PNG grids, videos, an offline HTML page, and metrics as JSON.

    DIR/grid.png                    all samples, in rows
        NAME.png                    each strip: an interpolation, a traversal
        NAME.gif, NAME.mp4          each clip: an interpolation, a denoising
        index.html                  the page: every image inside it, the videos beside it
        metrics.json                metrics, samples and how they were made, for programs; apart from these,
                                    under `checkpoint`, the scores of other samples from the model's card

In: a `GalleryContent` of images and texts. Out: files. Reading order: `content`, `latent_map`, `pictures`,
`sample_list`, `page` (and its template, `page.html`, with `page.css` and `page.js`), `writing`.
Does not know: models, scenes.
"""

from generative.gallery.content import Clip, GalleryContent, Grades, RealEntry, SampleEntry, Strip
from generative.gallery.latent_map import LatentMap
from generative.gallery.writing import gallery_files, write_gallery

__all__ = [
    "Clip",
    "GalleryContent",
    "Grades",
    "LatentMap",
    "RealEntry",
    "SampleEntry",
    "Strip",
    "gallery_files",
    "write_gallery",
]
