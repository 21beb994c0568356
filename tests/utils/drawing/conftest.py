"""Canvases that remember what was drawn on them, for the tests of pictures."""

from bayesdl_sim.utils.drawing.canvas import Canvas


class SpyCanvas(Canvas):
    """A canvas that remembers its texts and boxes."""

    def __init__(self, width, height):
        super().__init__(width, height)
        self.texts, self.pictures, self.rectangles, self.hatched = [], [], [], []
        self.lines, self.areas, self.circles = [], [], []

    def text(self, place, words, *rest, **style):
        box = super().text(place, words, *rest, **style)
        if words:
            self.texts.append((words, box))
        return box

    def upright(self, centre, words, size):
        box = super().upright(centre, words, size)
        self.texts.append((words, box))
        return box

    def picture(self, box, colours):
        self.pictures.append(box)
        super().picture(box, colours)

    def rectangle(self, box, colour, *rest):
        self.rectangles.append((box, colour))
        super().rectangle(box, colour, *rest)

    def hatch(self, box):
        self.hatched.append(box)
        super().hatch(box)
        self.pictures.pop()

    def line(self, places, colour, *rest, **options):
        self.lines.append((places, colour))
        super().line(places, colour, *rest, **options)

    def area(self, places, colour, *rest, **options):
        self.areas.append((places, colour))
        super().area(places, colour, *rest, **options)

    def circle(self, centre, radius, colour, *rest, **options):
        self.circles.append((centre, radius, colour))
        super().circle(centre, radius, colour, *rest, **options)


def spied(monkeypatch, module):
    """The list of the canvases that a module makes from now on."""
    drawn = []

    class Remembered(SpyCanvas):
        def __init__(self, *size):
            super().__init__(*size)
            drawn.append(self)

    monkeypatch.setattr(module, "Canvas", Remembered)
    return drawn
