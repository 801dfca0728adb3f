//! The panes of the workbench, and how pictures are shown in them.

/// The panes of the workbench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// The loss curves.
    Loss,
    /// The AMI and ARI curves.
    Scores,
    /// The pictures.
    Components,
}

impl Pane {
    /// In the order that Tab visits them.
    pub const ALL: [Pane; 3] = [Pane::Components, Pane::Loss, Pane::Scores];
}

/// How gamma is shown beside the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Masks {
    /// The components' colours, mixed by gamma.
    #[default]
    Blend,
    /// The colour of each pixel's largest gamma.
    Largest,
}

impl Masks {
    /// The other way.
    pub fn next(self) -> Masks {
        match self {
            Masks::Blend => Masks::Largest,
            Masks::Largest => Masks::Blend,
        }
    }
}

/// What is shown of each component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// Its prediction and its mask.
    #[default]
    Masks,
    /// Its prediction, its mask, and its masked delta.
    Deltas,
}

impl Rows {
    /// The other kind.
    pub fn next(self) -> Rows {
        match self {
            Rows::Masks => Rows::Deltas,
            Rows::Deltas => Rows::Masks,
        }
    }
}
