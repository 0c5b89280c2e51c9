"""Mouse and keyboard input of a gallery: pixels of the window become gestures of the show."""

from __future__ import annotations

from pygame import Rect

from sim.viewer.app.text_entry import TextEntry
from sim.viewer.app.viewer import Viewer
from sim.viewer.contract.gallery_page import GalleryPage
from sim.viewer.contract.gesture import Gesture
from sim.viewer.draw import layout
from sim.viewer.draw.card import ROW
from sim.viewer.overlays import gallery_mosaic
from sim.viewer.panels import condition_panel, latent_sliders, panels

Point = tuple[int, int]


class GalleryInput:
    """Mouse and keyboard input of one viewer's gallery."""

    def __init__(self, viewer: Viewer, entry: TextEntry) -> None:
        self._viewer, self._entry = viewer, entry
        self._picture = -1  # that the button went down on
        self._aim = -1
        self._slider = -1  # that is held
        self._painting = False

    def press(self, at: Point) -> None:
        """The button goes down."""
        page = self._gallery_page
        if page is None:
            return
        place = self._viewer.layout()
        if place.who.collidepoint(at):
            self._viewer.tell(Gesture("leave"))
        elif place.world.collidepoint(at):
            self._press_picture(at, page)
        else:
            self._press_panel(at, page)

    def _press_picture(self, at: Point, page: GalleryPage) -> None:
        if page.mode == "fill":
            if self._rects(page)[0].collidepoint(at):
                self._painting = True
                self._paint(at, page, stroke=False)
            return
        found = self._under(at, page)
        if found >= 0:
            self._picture = self._aim = found
            self._viewer.tell(Gesture("pick", found))

    def _press_panel(self, at: Point, page: GalleryPage) -> None:
        ink = self._viewer.ink
        for number, shown, height in (
            (layout.SLIDERS, latent_sliders.visible_rows, latent_sliders.row_height(ink, page)),
            (layout.CONDITIONS, condition_panel.visible_rows, ink.px(ROW)),
        ):
            inside = self._inside(number)
            if inside is None or not inside.collidepoint(at):
                continue
            row, numbers = (at[1] - inside.top) // height, shown(inside, ink, page)
            typing = condition_panel.button(inside, ink, page) if number == layout.CONDITIONS else None
            if typing is not None and typing.collidepoint(at):
                self._entry.begin()
            elif row < len(numbers) and number == layout.CONDITIONS:
                self._viewer.tell(Gesture("condition", numbers[row]))
            elif row < len(numbers) and at[0] > latent_sliders.track(inside, ink, row, height).right:
                self._entry.begin_value(numbers[row])
            elif row < len(numbers):
                self._slider = numbers[row]
                self._slide(at, page)

    def move(self, at: Point) -> None:
        """The mouse moves; it may be anywhere."""
        page = self._gallery_page
        if page is None:
            return
        if self._painting:
            self._paint(at, page, stroke=True)
        elif self._slider >= 0:
            self._slide(at, page)
        elif self._picture >= 0:
            aim = self._under(at, page)
            if aim != self._aim:
                self._aim = aim
                self._viewer.tell(Gesture("aim", -1 if aim == self._picture else aim))

    def release(self, at: Point) -> None:
        """The button goes up."""
        page = self._gallery_page
        if page is not None and self._painting:
            self._viewer.tell(Gesture("fill"))
        elif page is not None and self._picture >= 0:
            end = self._under(at, page)
            if end >= 0 and end != self._picture:
                self._viewer.tell(Gesture("join", self._picture, end))
            elif self._aim != self._picture:
                self._viewer.tell(Gesture("aim", -1))
        self._picture = self._aim = self._slider = -1
        self._painting = False

    def press_key(self, name: str, *, shift: bool) -> None:
        """Handle a key that the gallery takes; up and down depend on how many pictures are in a row."""
        page = self._gallery_page
        if page is not None:
            rects = self._rects(page)
            columns = sum(rect.top == rects[0].top for rect in rects)
            self._viewer.tell(Gesture("key", columns, name=name, on=shift))

    # Places

    @property
    def _gallery_page(self) -> GalleryPage | None:
        moment = self._viewer.view.moment
        return None if moment is None else moment.page

    @property
    def _count(self) -> int:
        moment = self._viewer.view.moment
        return 0 if moment is None else len(moment.pictures)

    def _rects(self, page: GalleryPage) -> list[Rect]:
        return gallery_mosaic.places_of(self._viewer.layout().world, self._viewer.ink, page)

    def _under(self, at: Point, page: GalleryPage) -> int:
        """The picture under the mouse; −1 for none."""
        return Rect(at, (1, 1)).collidelist(self._rects(page)[: self._count])

    def _inside(self, number: int) -> Rect | None:
        rect = self._viewer.layout().panels.get(number)
        if rect is None or number in self._viewer.choices.folded:
            return None
        return panels.inside_of(rect, self._viewer.ink)

    def _slide(self, at: Point, page: GalleryPage) -> None:
        inside = self._inside(layout.SLIDERS)
        if inside is not None and self._slider < len(page.sliders):
            rect = latent_sliders.track(inside, self._viewer.ink, 0, 1)
            value = latent_sliders.value_at(page.sliders[self._slider], rect, at[0])
            self._viewer.tell(Gesture("slide", self._slider, value))

    def _paint(self, at: Point, page: GalleryPage, *, stroke: bool) -> None:
        rect = self._rects(page)[0]
        factor = page.size[0] / rect.width
        x, y = (at[0] + 0.5 - rect.left) * factor, (at[1] + 0.5 - rect.top) * factor
        self._viewer.tell(Gesture("paint", x, y, on=stroke))
