//! The training protocol, one iteration at a time. It knows no thread, channel, file or screen.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::adam::{descend, optimizer};
use super::batch::{Plan, Prefetch};
use super::evaluate::{Evaluation, ScoredSteps, Task, evaluate, floor, mean};
use super::pass::{Pass, pass};
use crate::backend;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::nem::{Nem, Part, host};
use crate::precision::Precision;
use crate::preset::{Preset, Setting, Stage, Train};
use crate::protocol::{Change, Epoch, Finish, Floor, Iteration, Profile, StageStart, WATCHED, Watched};
use crate::random::{Purpose, Stream};
use crate::scores::{self, Scores};

/// Images of a training batch that are scored, every `score_every` iterations.
const SCORED_IMAGES: usize = 16;
/// Iterations between two readings of the losses from a GPU, which has to be waited for then.
const READ_EVERY: usize = 8;

/// Where a training stands. With the weights and the optimizer's moments this is all its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Iterations done.
    pub iteration: u64,
    /// Epochs finished.
    pub epochs: u64,
    /// Batches done of the epoch in progress.
    pub batches: u64,
    /// Sum of their losses.
    pub epoch_loss: f64,
    /// Wall time spent on them.
    pub epoch_seconds: f64,
    /// The best validation loss since the last change that made losses incomparable.
    pub best_validation: Option<f64>,
    /// Epochs since then without a better one.
    pub stale_epochs: u64,
    /// Stages finished.
    #[serde(default)]
    pub stages: usize,
    /// Epochs that were finished when the stage in progress began.
    #[serde(default)]
    pub stage_epochs: u64,
    /// Iterations that were done when the stage in progress began, with fresh moments.
    #[serde(default)]
    pub stage_iterations: u64,
}

impl Counters {
    /// See [`Trainer::is_done`].
    fn is_done(&self, train: &Train) -> Option<Finish> {
        let max_epochs = train.stages.get(self.stages).and_then(|stage| stage.max_epochs);
        match () {
            () if self.batches > 0 => None,
            () if self.epochs - self.stage_epochs >= max_epochs.unwrap_or(train.max_epochs) => {
                Some(Finish::MaxEpochs)
            }
            () if self.stale_epochs >= train.patience => Some(Finish::EarlyStop),
            () => None,
        }
    }

    /// Whether the protocol has ended the training: the last stage's too, where there are stages.
    pub fn is_finished(&self, train: &Train) -> bool {
        self.stages + 1 >= train.stages.len() && self.is_done(train).is_some()
    }
}

/// A stopwatch with a lap for every part of an iteration; without a device to wait for, it does nothing.
struct Laps {
    device: Option<Device>,
    lap: Cell<(Instant, Profile)>,
}

impl Laps {
    fn new(device: Option<Device>) -> Laps {
        Laps { device, lap: Cell::new((Instant::now(), Profile::default())) }
    }

    /// Adds the time since the last lap's end to a part.
    fn end(&self, part: impl FnOnce(&mut Profile) -> &mut f64) {
        let Some(device) = &self.device else { return };
        // A device that fails here fails again where its work is used, and is reported there.
        let _ = device.sync();
        let (since, mut profile) = self.lap.get();
        *part(&mut profile) += since.elapsed().as_secs_f64();
        self.lap.set((Instant::now(), profile));
    }

    fn profile(&self) -> Option<Profile> {
        self.device.as_ref().map(|_| self.lap.get().1)
    }
}

/// An iteration whose losses still lie on the device.
struct Unread {
    /// All but the losses and the time.
    iteration: Iteration,
    /// Total, intra and inter loss, and the squared norm of the gradient.
    losses: Tensor<1>, // [4]
}

/// A training in progress.
pub struct Trainer {
    preset: Preset,
    seed: u64,
    device: Device,
    data: Arc<Dataset>,
    model: Nem,
    optimizer: ModuleOptimizer,
    counters: Counters,
    prefetch: Prefetch,
    /// The order of the training samples, and the epoch it is of.
    order: (u64, Vec<u32>),
    /// Whether iterations are timed part by part.
    profiled: bool,
    /// How many threads share a batch.
    shares: usize,
    /// After how many iterations their losses are read.
    read_every: usize,
    /// Those that have not been read, and when the first of them began.
    unread: Vec<Unread>,
    unread_since: Instant,
    /// Set while the optimizer works: a panic then leaves its state half updated.
    half_updated: bool,
}

impl Trainer {
    /// A training from the start. `device` is made to record gradients.
    ///
    /// # Errors
    /// What [`Dataset::new`] refuses, of any stage, and what [`Dataset::sample`] meets.
    pub fn new(preset: &Preset, seed: u64, device: &Device) -> Result<Trainer> {
        let drawn = |preset: &Preset, device: &Device| Ok(Nem::new(preset, seed, device));
        let trainer = Trainer::at(&preset.at_first_stage(), seed, device, drawn)?;
        for stages in 2..=preset.train.stages.len() {
            trainer.data.supports(&preset.after_stages(stages))?;
        }
        Ok(trainer)
    }

    /// A training of the stage that `preset` is in, of what `model` makes on a device that records gradients.
    pub(crate) fn at(
        preset: &Preset,
        seed: u64,
        device: &Device,
        model: impl FnOnce(&Preset, &Device) -> Result<Nem>,
    ) -> Result<Trainer> {
        let device = device.clone().autodiff();
        let data = Arc::new(Dataset::new(preset, seed)?);
        // What a file holds shows when it is read; better now than when a run was made of it.
        for split in [Split::Train, Split::Validation] {
            data.sample(split, 0, preset.steps + 1)?;
        }
        Ok(Trainer {
            model: model(preset, &device)?,
            optimizer: optimizer(&preset.train.adam),
            preset: Preset { data: data.spec().clone(), ..preset.clone() },
            data,
            seed,
            counters: Counters::default(),
            prefetch: Prefetch::new(),
            order: (u64::MAX, Vec::new()),
            profiled: false,
            shares: backend::shares(&device),
            read_every: if backend::is_gpu(&device) { READ_EVERY } else { 1 },
            device,
            unread: Vec::new(),
            unread_since: Instant::now(),
            half_updated: false,
        })
    }

    /// The same training with the rest of the state that an earlier one left.
    pub(crate) fn resumed(self, optimizer: ModuleOptimizer, counters: Counters) -> Trainer {
        Trainer { optimizer, counters, ..self }
    }

    /// The same training from other weights than the seed's.
    pub fn from_weights(mut self, model: Nem) -> Trainer {
        self.model = model.with_precision(self.model.precision);
        self
    }

    /// The same training, which computes in this precision.
    pub fn with_precision(mut self, precision: Precision) -> Trainer {
        self.model = self.model.with_precision(precision);
        self
    }

    /// The same training where no validation so far can be compared with those to come.
    pub(crate) fn without_best(mut self) -> Trainer {
        self.counters.best_validation = None;
        self.counters.stale_epochs = 0;
        self
    }

    /// The preset in force, with every change so far.
    pub fn preset(&self) -> &Preset {
        &self.preset
    }

    /// Everything random follows from it.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The model with its weights as they are now.
    pub fn model(&self) -> &Nem {
        &self.model
    }

    /// The optimizer with its moments.
    pub fn optimizer(&self) -> &ModuleOptimizer {
        &self.optimizer
    }

    /// The data.
    pub fn data(&self) -> &Arc<Dataset> {
        &self.data
    }

    /// The device without gradients, for evaluation.
    pub fn plain_device(&self) -> Device {
        self.device.clone().without_autodiff()
    }

    /// Where it stands.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether weights and moments belong together; false only after a panic in the optimizer.
    pub fn is_whole(&self) -> bool {
        !self.half_updated
    }

    /// The position-only floor on the validation split.
    ///
    /// # Errors
    /// What [`Dataset::sample`] meets.
    pub fn floor(&self) -> Result<Floor> {
        floor(&self.preset, &self.data, Split::Validation, self.preset.train.validation_size)
    }

    /// Changes a value for the iterations to come.
    ///
    /// # Errors
    /// [`Error::Preset`] where the changed preset would be impossible; nothing is changed then.
    pub fn change(&mut self, to: Setting) -> Result<Change> {
        let Some(from) = to.current(&self.preset) else {
            return Err(Error::Usage(format!("this run has no {}", to.field())));
        };
        let preset = to.apply(&self.preset)?;
        if preset.data != self.preset.data {
            self.data = Arc::new(Dataset::new(&preset, self.seed)?);
        }
        self.data.supports(&preset)?;
        if !to.keeps_loss_comparable() {
            self.counters.best_validation = None;
            self.counters.stale_epochs = 0;
        }
        self.adopt(preset);
        Ok(Change { iteration: self.counters.iteration + 1, from, to })
    }

    /// Puts `preset`, which has the same network, in force. The model keeps what the E-step reads of it.
    fn adopt(&mut self, preset: Preset) {
        self.model.distribution = preset.model.distribution;
        self.preset = preset;
    }

    /// One iteration: forward, backward, Adam. Returns the iterations whose losses were read: on a CPU this
    /// one, on a GPU now and then the latest few, because reading waits for the device.
    ///
    /// # Errors
    /// [`Error::NotFinite`] where a loss is no number, and what the data meets; the weights are then those
    /// before the iteration, which may be later than the one whose loss it was.
    pub fn step(&mut self) -> Result<Vec<Iteration>> {
        if self.unread.is_empty() {
            self.unread_since = Instant::now();
        }
        let laps = Laps::new(self.profiled.then(|| self.plain_device()));
        let iteration = self.counters.iteration + 1;
        let plan = self.plan(self.counters.epochs, self.counters.batches);
        let next = self.next_plan();
        let mut batch = self.prefetch.get(&plan, Some(next))?;
        let (frames, gamma) = batch.to_device(self.data.image(), &self.plain_device());
        laps.end(|profile| &mut profile.data);

        let watch = |part| {
            laps.end(|profile| match part {
                Part::Em => &mut profile.em,
                Part::Encoder => &mut profile.encoder,
                Part::Decoder => &mut profile.decoder,
            });
        };
        let shares = self.shares.min(plan.indices.len());
        let unrolled = || laps.end(|profile| &mut profile.em);
        let Pass { losses, gradients, gamma } =
            pass(shares, &self.model, &self.preset, &frames, gamma, &watch, unrolled);
        let scored = iteration.is_multiple_of(self.preset.train.score_every);
        // The fourth is the squared norm of the gradient, or 0 where it is not this iteration's turn.
        let norm = if scored { self.model.squared_norm(&gradients) } else { losses[0].zeros_like() };
        let losses = Tensor::cat(losses.into_iter().chain([norm]).collect(), 0);
        let done = Iteration { iteration, epoch: self.counters.epochs + 1, ..Iteration::default() };
        self.unread.push(Unread { iteration: done, losses });
        let read_now = self.profiled || self.unread.len() >= self.read_every;
        let mut read = if read_now { self.read()? } else { Vec::new() };
        laps.end(|profile| &mut profile.backward);
        self.half_updated = true;
        self.model = descend(&mut self.optimizer, &self.preset.train, &self.model, gradients);
        self.half_updated = false;
        self.counters.iteration = iteration;
        self.counters.batches += 1;
        laps.end(|profile| &mut profile.optimizer);

        let scores = scored.then(|| {
            let images = batch.groups.len().min(SCORED_IMAGES);
            let gamma = host(gamma.narrow(0, 0, images));
            let groups = batch.groups_of_step(self.preset.steps - 1, self.data.image());
            let scores = gamma.chunks_exact(gamma.len() / images).zip(groups);
            mean(&scores.filter_map(|(gamma, groups)| scores::score(gamma, groups)).collect::<Vec<Scores>>())
        });
        laps.end(|profile| &mut profile.scores);
        let this = read.last_mut().or(self.unread.last_mut().map(|unread| &mut unread.iteration));
        if let Some(this) = this {
            this.ami = scores.map(|s| s.ami);
            this.ari = scores.map(|s| s.ari);
            this.profile = laps.profile();
        }
        if read_now {
            self.finish_reading(&mut read);
        }
        Ok(read)
    }

    /// Reads the losses that [`Trainer::step`] has left on the device, so that counters and metrics are whole.
    ///
    /// # Errors
    /// [`Error::NotFinite`], as there.
    pub fn settle(&mut self) -> Result<Vec<Iteration>> {
        if self.unread.is_empty() {
            return Ok(Vec::new());
        }
        let mut read = self.read()?;
        self.finish_reading(&mut read);
        Ok(read)
    }

    /// The unread iterations with their losses.
    fn read(&mut self) -> Result<Vec<Iteration>> {
        let (mut read, losses): (Vec<Iteration>, Vec<_>) =
            self.unread.drain(..).map(|unread| (unread.iteration, unread.losses)).unzip();
        let losses: Vec<f64> = host(Tensor::cat(losses, 0)).into_iter().map(f64::from).collect();
        for (iteration, losses) in read.iter_mut().zip(losses.chunks_exact(4)) {
            (iteration.loss, iteration.intra, iteration.inter) = (losses[0], losses[1], losses[2]);
            let measured = iteration.iteration.is_multiple_of(self.preset.train.score_every);
            iteration.gradient_norm = measured.then(|| losses[3].sqrt());
        }
        if let Some(&Iteration { iteration, loss, .. }) = read.iter().find(|i| !i.loss.is_finite()) {
            return Err(Error::NotFinite { iteration, loss, kept: String::new() });
        }
        Ok(read)
    }

    /// Shares the time out among the iterations just read, and takes them into account.
    fn finish_reading(&mut self, read: &mut [Iteration]) {
        let seconds = self.unread_since.elapsed().as_secs_f64();
        let each = seconds / read.len() as f64;
        for iteration in read {
            iteration.seconds = each;
            self.counters.epoch_loss += iteration.loss;
        }
        self.counters.epoch_seconds += seconds;
    }

    /// Reads losses only after every `iterations` (at least 1) of them.
    pub fn set_read_every(&mut self, iterations: usize) {
        self.read_every = iterations.max(1);
    }

    /// Whether to time iterations part by part. The device is then waited for after every part, which on a
    /// GPU slows the training down.
    pub fn set_profiled(&mut self, profiled: bool) {
        self.profiled = profiled;
    }

    /// Whether the epoch's last batch is done, so that [`Trainer::end_epoch`] is due.
    pub fn epoch_is_over(&self) -> bool {
        self.counters.batches >= self.preset.iterations_per_epoch()
    }

    /// Validates, and begins the next epoch; to be called settled. Returns the epoch, the AMI (max) of each
    /// watched sample, `None` where its frame has no group, and each component's share of the objects' pixels.
    ///
    /// # Errors
    /// [`Error::NotFinite`] where the validation loss is no number, and what the data meets.
    pub fn end_epoch(&mut self) -> Result<(Epoch, Watched)> {
        let start = Instant::now();
        let samples = self.preset.train.validation_size;
        let result = self.evaluate(Split::Validation, samples, ScoredSteps::LastStep)?;
        let iteration = self.counters.iteration;
        if !result.loss.is_finite() {
            return Err(Error::NotFinite { iteration, loss: result.loss, kept: String::new() });
        }
        let counters = &mut self.counters;
        let best = counters.best_validation.is_none_or(|best| result.loss < best);
        if best {
            counters.best_validation = Some(result.loss);
            counters.stale_epochs = 0;
        } else {
            counters.stale_epochs += 1;
        }
        counters.epochs += 1;
        let epoch = Epoch {
            epoch: counters.epochs,
            iteration,
            train_loss: counters.epoch_loss / counters.batches as f64,
            validation_loss: result.loss,
            ami: result.last.ami,
            ami_arithmetic: result.last.ami_arithmetic,
            ari: result.last.ari,
            confidence: result.last.confidence,
            upper_bound: Some(result.upper_bound),
            best,
            seconds: counters.epoch_seconds + start.elapsed().as_secs_f64(),
        };
        counters.batches = 0;
        counters.epoch_loss = 0.0;
        counters.epoch_seconds = 0.0;
        let mut watched = result.each;
        watched.truncate(WATCHED);
        Ok((epoch, Watched { amis: watched, held: result.held }))
    }

    /// The protocol's reason to end the stage in progress, which is the training where there are no
    /// stages: between two epochs, too many of them, or too many without a better validation loss.
    pub fn is_done(&self) -> Option<Finish> {
        self.counters.is_done(&self.preset.train)
    }

    /// The stage after the one in progress.
    fn stage_to_come(&self) -> Option<Stage> {
        self.preset.train.stages.get(self.counters.stages + 1).cloned()
    }

    /// Begins the next stage, if there is one: what it changes of the preset, fresh moments, and of the
    /// weights those of the best validation loss of the stage that ends, which `best` fetches.
    ///
    /// # Errors
    /// What [`Dataset::new`] refuses, and what `best` meets; the stage that ends is then still in progress.
    pub fn next_stage(
        &mut self,
        best: impl FnOnce(&Preset, &Device) -> Result<Nem>,
    ) -> Result<Option<StageStart>> {
        let Some(stage) = self.stage_to_come() else { return Ok(None) };
        let preset = self.preset.at_stage(&stage);
        let data = Arc::new(Dataset::new(&preset, self.seed)?);
        // After a live change that made losses incomparable nothing is the best before the next validation.
        if self.counters.best_validation.is_some() {
            self.model = best(&self.preset, &self.device)?.with_precision(self.model.precision);
        }
        self.data = data;
        self.optimizer = optimizer(&preset.train.adam);
        self.adopt(preset);
        let counters = &mut self.counters;
        counters.stages += 1;
        counters.stage_epochs = counters.epochs;
        counters.stage_iterations = counters.iteration;
        counters.best_validation = None;
        counters.stale_epochs = 0;
        Ok(Some(StageStart { stage: counters.stages + 1, iteration: counters.iteration + 1, what: stage }))
    }

    /// Evaluates the weights as they are now.
    ///
    /// # Errors
    /// What the data meets.
    pub fn evaluate(&self, split: Split, samples: usize, scored: ScoredSteps) -> Result<Evaluation> {
        let model = self.model.without_gradients();
        let (preset, data, seed) = (&self.preset, &self.data, self.seed);
        let task = Task { model: &model, preset, data, seed, split, samples, scored };
        evaluate(task, &self.plain_device(), &|_| {})
    }

    /// Batch `batch` of the epoch after `epochs` finished ones.
    fn plan(&mut self, epochs: u64, batch: u64) -> Plan {
        let size = self.preset.train.train_size;
        if self.order.0 != epochs || self.order.1.len() != size {
            let order = Stream::new(self.seed, Purpose::Order, epochs, 0).permutation(size);
            self.order = (epochs, order);
        }
        let images = self.preset.train.batch;
        let start = batch as usize * images;
        Plan {
            data: self.data.clone(),
            seed: self.seed,
            split: Split::Train,
            epoch: epochs,
            indices: self.order.1[start..start + images].iter().map(|&i| u64::from(i)).collect(),
            k: self.preset.k,
            steps: self.preset.steps,
            noise: self.preset.noise,
        }
    }

    /// The batch after the one in progress, as far as can be known now.
    fn next_plan(&mut self) -> Plan {
        let batch = self.counters.batches + 1;
        if batch < self.preset.iterations_per_epoch() {
            self.plan(self.counters.epochs, batch)
        } else {
            self.plan(self.counters.epochs + 1, 0)
        }
    }
}
