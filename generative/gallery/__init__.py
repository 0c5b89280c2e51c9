"""A gallery on disk: pictures, videos, a page that opens without a network, and the figures as JSON.

    DIR/grid.png                    all samples, in rows
        NAME.png                    each strip: an interpolation, a traversal
        NAME.gif, NAME.mp4          each clip: an interpolation, a denoising
        index.html                  the page: every picture inside it, the videos beside it
        metrics.json                figures, samples and how they were made, for programs; apart from these,
                                    under `checkpoint`, what the model's card says of other samples of it

In: a `Gallery` of pictures and words. Out: files. Reading order: `exhibits` (what is shown), `pictures`,
`page` (and its template, `page.html`), `writing`. Does not know: models, scenes.
"""

from generative.gallery.exhibits import Clip, Exhibit, Gallery, Grades, Strip
from generative.gallery.writing import gallery_files, write_gallery

__all__ = ["Clip", "Exhibit", "Gallery", "Grades", "Strip", "gallery_files", "write_gallery"]
