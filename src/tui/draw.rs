//! Drawing on the image that the inspector shows. The worker gets what is drawn, one request at a time: while it
//! unrolls one, only the newest drawing waits.

mod canvas;
mod piece;

pub use self::canvas::Canvas;
use self::piece::Piece;
use crate::preset::{ImageSize, Preset};
use crate::snapshot::{Frames, Input, Snapshot, Source};

/// The largest brush, in pixels.
const LARGEST: usize = 9;
/// Values of a brush between black and white.
const LEVELS: f32 = 10.0;
/// How many strokes can be undone.
const UNDONE: usize = 64;

/// What moving the cursor does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pen {
    /// Nothing else.
    #[default]
    Up,
    /// Paints.
    Paint,
    /// Erases.
    Erase,
}

/// A drawing in progress.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// The picture.
    pub canvas: Canvas,
    /// What moving the cursor does.
    pub pen: Pen,
    /// Width and height of the brush, in pixels.
    pub size: usize,
    /// The value that it paints.
    pub value: f32,
    /// The object that the cursor holds, by its number on the canvas.
    pub held: Option<usize>,
    /// The shapes that can be stamped.
    pub stamps: Vec<Piece>,
    /// The canvas before each stroke, the latest last.
    before: Vec<Canvas>,
    /// What was undone, the latest last.
    undone: Vec<Canvas>,
    /// What the pressed mouse does, and the pixel it was at.
    mouse: Option<(Drag, (usize, usize))>,
    /// The request that the worker has not answered yet.
    pub asked: Option<Input>,
    /// Whether the canvas has changed since.
    pub changed: bool,
}

/// What a pressed mouse does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Drag {
    /// Moves the held object.
    Move,
    /// Paints with this value.
    Paint(f32),
}

impl Drawing {
    /// Draws on the frame that EM step `at` of `snapshot` predicts, with the shapes of its data or its own objects as
    /// stamps. If `shown` are frames that were drawn before, draws on those.
    pub fn new(snapshot: &Snapshot, at: usize, shown: Option<&Input>, preset: &Preset) -> Drawing {
        let image = snapshot.image;
        let shapes = preset.data.shape_set().map(|set| piece::of_set(set, image.channels));
        let known = shapes.clone().unwrap_or_default();
        let canvas = match (shown.map(|input| &input.source), snapshot.steps.get(at)) {
            (Some(Source::Frames(frames)), _) => {
                let values = frames.targets.first().map_or(&[][..], Vec::as_slice);
                let groups = frames.groups.get(..image.pixels());
                Canvas::of(image, values, groups, &known)
            }
            (_, Some(step)) => {
                let groups = snapshot.knows_objects().then_some(&step.groups[..]);
                Canvas::of(image, &step.target, groups, &known)
            }
            (_, None) => Canvas::empty(image),
        };
        let stamps = shapes.unwrap_or_else(|| canvas.pieces().to_vec());
        Drawing {
            canvas,
            pen: Pen::default(),
            size: 1,
            value: 1.0,
            held: None,
            stamps,
            before: Vec::new(),
            undone: Vec::new(),
            mouse: None,
            asked: None,
            changed: false,
        }
    }

    /// C, H and W.
    pub fn image(&self) -> ImageSize {
        self.canvas.image
    }

    /// The canvas, for the worker: a still image, with its objects where they are known.
    pub fn frames(&self) -> Frames {
        Frames {
            targets: vec![self.canvas.values()],
            groups: self.canvas.groups().unwrap_or_default(),
            ..Frames::default()
        }
    }

    /// A black canvas.
    pub fn clear(&mut self) {
        self.stroke();
        self.canvas = Canvas::empty(self.image());
        (self.held, self.changed) = (None, true);
    }

    /// Paints at the cursor, or erases what is lit there; puts down what is held.
    pub fn dot(&mut self, at: (usize, usize)) {
        if self.held.is_some() {
            return self.put();
        }
        let lit = self.canvas.at(at.0, at.1) == self.value;
        self.stroke();
        self.paint(at, if lit { 0.0 } else { self.value });
    }

    /// Lowers this pen, or lifts it if it is down.
    pub fn lower(&mut self, pen: Pen, at: (usize, usize)) {
        self.pen = if self.pen == pen { Pen::Up } else { pen };
        if let Some(value) = self.pen_value() {
            self.put();
            self.stroke();
            self.paint(at, value);
        }
    }

    /// The cursor has moved from one pixel to another: it drags what it holds, else the pen draws.
    pub fn moved(&mut self, from: (usize, usize), to: (usize, usize)) {
        match (self.held, self.pen_value()) {
            (Some(held), _) => {
                let by = |from: usize, to: usize| to as i64 - from as i64;
                self.changed |= self.canvas.shift(held, by(from.0, to.0), by(from.1, to.1));
            }
            (None, Some(value)) => self.line(from, to, value),
            (None, None) => {}
        }
    }

    /// Picks up the object at the cursor, or puts down the held one. Returns whether there is one.
    pub fn pick(&mut self, at: (usize, usize)) -> bool {
        if self.held.is_some() {
            self.put();
            return true;
        }
        self.stroke();
        self.held = self.canvas.pick(at.0, at.1);
        self.pen = Pen::Up;
        self.held.is_some()
    }

    /// Puts down what is held.
    pub fn put(&mut self) {
        if let Some(held) = self.held.take() {
            self.canvas.put(held);
        }
    }

    /// Stamps shape `which` with its middle at the cursor. Returns whether there is such a shape.
    pub fn stamp(&mut self, which: usize, at: (usize, usize)) -> bool {
        let Some(shape) = self.stamps.get(which).cloned() else { return false };
        self.put();
        self.stroke();
        self.canvas.stamp(&shape, at.0, at.1);
        self.changed = true;
        true
    }

    /// Changes the size of the brush.
    pub fn resize(&mut self, by: i64) {
        self.size = self.size.saturating_add_signed(by as isize).clamp(1, LARGEST);
    }

    /// Changes the value of the brush.
    pub fn shade(&mut self, by: i64) {
        self.value = ((self.value * LEVELS).round() + by as f32).clamp(1.0, LEVELS) / LEVELS;
    }

    /// Undoes the latest stroke, or redoes it. Returns whether there is one.
    pub fn undo(&mut self, again: bool) -> bool {
        self.put();
        let (from, to) = match again {
            false => (&mut self.before, &mut self.undone),
            true => (&mut self.undone, &mut self.before),
        };
        // A stroke may have changed nothing.
        while let Some(canvas) = from.pop() {
            if canvas != self.canvas {
                to.push(std::mem::replace(&mut self.canvas, canvas));
                (self.pen, self.changed) = (Pen::Up, true);
                return true;
            }
        }
        false
    }

    /// The mouse is pressed on a pixel: it erases if the eraser is down; else it takes the object there, or paints.
    pub fn press(&mut self, at: (usize, usize)) {
        self.put();
        let drag = match self.pen_value() {
            Some(value) => Drag::Paint(value),
            None if self.canvas.at(at.0, at.1) > 0.0 && self.pick(at) => Drag::Move,
            None => Drag::Paint(self.value),
        };
        self.mouse = Some((drag, at));
        if let Drag::Paint(value) = drag {
            self.stroke();
            self.paint(at, value);
        }
    }

    /// The pressed mouse moves to a pixel.
    pub fn drag(&mut self, to: (usize, usize)) {
        let Some((drag, from)) = self.mouse else { return };
        match drag {
            Drag::Move => self.moved(from, to),
            Drag::Paint(value) => self.line(from, to, value),
        }
        self.mouse = Some((drag, to));
    }

    /// The mouse is released.
    pub fn release(&mut self) {
        if let Some((Drag::Move, _)) = self.mouse.take() {
            self.put();
        }
    }

    /// The worker has answered with a picture of `input`.
    pub fn answered(&mut self, input: Option<&Input>) {
        if self.asked.as_ref() == input {
            self.asked = None;
        }
    }

    fn pen_value(&self) -> Option<f32> {
        match self.pen {
            Pen::Up => None,
            Pen::Paint => Some(self.value),
            Pen::Erase => Some(0.0),
        }
    }

    /// A stroke begins, which can be undone as a whole.
    fn stroke(&mut self) {
        if self.before.len() >= UNDONE {
            self.before.remove(0);
        }
        self.before.push(self.canvas.clone());
        self.undone.clear();
    }

    fn paint(&mut self, at: (usize, usize), value: f32) {
        self.changed |= self.canvas.paint(at, self.size, value);
    }

    /// Paints every pixel on the way, because a mouse skips some.
    fn line(&mut self, from: (usize, usize), to: (usize, usize), value: f32) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let between =
            |from: usize, to: usize, step: usize| (from * (steps - step) + to * step + steps / 2) / steps;
        for step in 1..=steps {
            self.paint((between(from.0, to.0, step), between(from.1, to.1, step)), value);
        }
    }
}
