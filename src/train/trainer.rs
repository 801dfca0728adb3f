//! The training protocol, one iteration at a time. It knows no channel, file or screen.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use burn_optim::ModuleOptimizer;

use super::adam::{descend, optimizer};
use super::batch::{Plan, Prefetch};
pub use super::counters::Counters;
use super::evaluate::{Evaluation, ScoredSteps, Task, evaluate, floor, mean};
use super::laps::Laps;
use super::pass::{Pass, pass};
use super::unread::UnreadLosses;
use crate::backend;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::nem::{Nem, Phase, host};
use crate::precision::Precision;
use crate::preset::{Preset, Setting, Stage, Work};
use crate::protocol::{Change, Epoch, Finish, Floor, Iteration, StageStart, WATCHED, Watched};
use crate::random::{Purpose, Stream};
use crate::scores;
use crate::stop::Stop;

/// Number of images of a training batch that are scored.
const SCORED_IMAGES: usize = 16;

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
    /// An epoch and its order of the training samples.
    order: (u64, Vec<u32>),
    /// Whether iterations are timed part by part.
    profiled: bool,
    /// Number of threads that share a batch.
    shares: usize,
    unread: UnreadLosses,
    /// Set during the optimizer's step, where a panic leaves its state half updated.
    half_updated: bool,
    /// Ends evaluations early.
    stop: Stop,
}

/// A live change that has not been made yet.
pub struct Prepared {
    preset: Preset,
    data: Arc<Dataset>,
    change: Change,
}

impl Prepared {
    /// Its record.
    pub fn change(&self) -> Change {
        self.change
    }
}

impl Trainer {
    /// A new training on `device`.
    ///
    /// # Errors
    /// Those of [`Dataset::new`] for any stage, and of [`Dataset::sample`].
    pub fn new(preset: &Preset, seed: u64, device: &Device) -> Result<Trainer> {
        Trainer::with_model(preset, seed, device, |preset, device| Ok(Nem::new(preset, seed, device)))
    }

    /// The same with what `model` builds instead of initial weights.
    ///
    /// # Errors
    /// Those of [`Trainer::new`] and of `model`.
    pub(crate) fn with_model(
        preset: &Preset,
        seed: u64,
        device: &Device,
        model: impl FnOnce(&Preset, &Device) -> Result<Nem>,
    ) -> Result<Trainer> {
        let first = preset.at_first_stage();
        first.fits(Work::Training { on_cpu: !backend::is_gpu(device) })?;
        first.fits(Work::Scoring { samples: first.train.validation_size, steps: 1 })?;
        let trainer = Trainer::at(&first, seed, device, model)?;
        for stages in 2..=preset.train.stages.len() {
            trainer.data.supports(&preset.after_stages(stages))?;
        }
        Ok(trainer)
    }

    /// A training of a single stage, for which `preset` holds the values. `model` builds the model on a device that records
    /// gradients.
    pub(crate) fn at(
        preset: &Preset,
        seed: u64,
        device: &Device,
        model: impl FnOnce(&Preset, &Device) -> Result<Nem>,
    ) -> Result<Trainer> {
        let device = device.clone().autodiff();
        let data = Arc::new(Dataset::new(preset, seed)?);
        // Reading finds problems of a data file before the run exists.
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
            unread: UnreadLosses::new(&device),
            device,
            half_updated: false,
            stop: Stop::default(),
        })
    }

    /// The same training with an earlier one's optimizer and counters.
    pub(crate) fn resumed(self, optimizer: ModuleOptimizer, counters: Counters) -> Trainer {
        Trainer { optimizer, counters, ..self }
    }

    /// The same training in this precision.
    pub fn with_precision(mut self, precision: Precision) -> Trainer {
        self.model = self.model.with_precision(precision);
        self
    }

    /// The same training, whose evaluations end with [`Error::Stopped`] once `stop` is requested.
    pub fn with_stop(self, stop: Stop) -> Trainer {
        Trainer { stop, ..self }
    }

    /// The same training without a best validation loss, because earlier losses cannot be compared.
    pub(crate) fn without_best(mut self) -> Trainer {
        self.counters.best_validation = None;
        self.counters.stale_epochs = 0;
        self
    }

    /// The current preset, with all changes so far.
    pub fn preset(&self) -> &Preset {
        &self.preset
    }

    /// The seed of all random numbers.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The model with its current weights.
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

    /// The progress.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether weights and moments are consistent; false only after a panic in the optimizer.
    pub fn is_whole(&self) -> bool {
        !self.half_updated
    }

    /// The position-only floor on the validation split.
    ///
    /// # Errors
    /// Those of [`Dataset::sample`]; [`Error::Stopped`].
    pub fn floor(&self) -> Result<Floor> {
        floor(&self.preset, &self.data, Split::Validation, self.preset.train.validation_size, &self.stop)
    }

    /// Prepares a change of a setting from the next iteration on. Nothing changes before [`Trainer::adopt`].
    ///
    /// # Errors
    /// [`Error::Preset`] if the changed preset is invalid.
    pub fn prepare(&self, to: Setting) -> Result<Prepared> {
        let Some(from) = to.current(&self.preset) else {
            return Err(Error::Usage(format!("this run has no {}", to.field())));
        };
        let preset = to.apply(&self.preset)?;
        let work = Work::Training { on_cpu: !backend::is_gpu(&self.device) };
        preset.fits_instead(&self.preset, work)?;
        let data = match preset.data == self.preset.data {
            true => self.data.clone(),
            false => Arc::new(Dataset::new(&preset, self.seed)?),
        };
        data.supports(&preset)?;
        Ok(Prepared { preset, data, change: Change { iteration: self.counters.iteration + 1, from, to } })
    }

    /// Prepares a change and makes it.
    ///
    /// # Errors
    /// Those of [`Trainer::prepare`]; nothing changes then.
    pub fn change(&mut self, to: Setting) -> Result<Change> {
        let prepared = self.prepare(to)?;
        let change = prepared.change();
        self.adopt(prepared);
        Ok(change)
    }

    /// Makes a prepared change.
    pub fn adopt(&mut self, Prepared { preset, data, change }: Prepared) {
        if !change.to.keeps_loss_comparable() {
            self.counters.best_validation = None;
            self.counters.stale_epochs = 0;
        }
        if matches!(change.to, Setting::MaxEpochs(_)) {
            self.counters.stale_epochs = 0;
        }
        self.data = data;
        self.take_preset(preset);
    }

    /// Replaces the preset by one with the same network. The model holds the distribution, which the E-step reads.
    fn take_preset(&mut self, preset: Preset) {
        self.model.distribution = preset.model.distribution;
        self.preset = preset;
    }

    /// One iteration: forward, backward, Adam. Returns the iterations whose losses were read: this one on a CPU, the
    /// latest few from time to time on a GPU, because reading waits for the device.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for a loss that is NaN or infinite, errors of the data, and [`Error::Stopped`] if that is
    /// requested before the backward pass. The weights are then those before
    /// this iteration, which may be later than the one of that loss.
    pub fn step(&mut self) -> Result<Vec<Iteration>> {
        self.unread.begin_iteration();
        let laps = Laps::new(self.profiled.then(|| self.plain_device()));
        let iteration = self.counters.iteration + 1;
        let plan = self.plan(self.counters.epochs, self.counters.batches);
        let next = self.next_plan();
        let mut batch = self.prefetch.get(&plan, Some(next))?;
        let (frames, gamma) = batch.to_device(self.data.image(), &self.plain_device());
        laps.end(|profile| &mut profile.data);

        let watch = |phase| {
            laps.end(|profile| match phase {
                Phase::Em => &mut profile.em,
                Phase::Encoder => &mut profile.encoder,
                Phase::Decoder => &mut profile.decoder,
            });
        };
        let shares = self.shares.min(plan.indices.len());
        let Pass { losses, gradients, gamma } =
            pass(shares, &self.model, &self.preset, &frames, gamma, &watch, &self.stop)?;
        let scored = iteration.is_multiple_of(self.preset.train.score_every);
        // The fourth value is the gradient's squared norm, or 0 in iterations that are not scored.
        let norm = if scored { self.model.cell.squared_norm(&gradients) } else { losses[0].zeros_like() };
        let losses = Tensor::cat(losses.into_iter().chain([norm]).collect(), 0);
        let done = Iteration { iteration, epoch: self.counters.epochs + 1, ..Iteration::default() };
        self.unread.push(done, losses);
        let read_now = self.profiled || self.unread.is_due();
        let mut read = if read_now { self.unread.take(self.preset.train.score_every)? } else { Vec::new() };
        laps.end(|profile| &mut profile.backward);
        self.half_updated = true;
        self.model = descend(&mut self.optimizer, &self.preset.train, &self.model, gradients);
        self.half_updated = false;
        self.counters.iteration = iteration;
        self.counters.batches += 1;
        laps.end(|profile| &mut profile.optimizer);

        let scores = (scored && self.preset.is_scorable()).then(|| {
            let images = batch.groups.len().min(SCORED_IMAGES);
            let gamma = host(gamma.narrow(0, 0, images));
            let groups = batch.groups_of_step(self.preset.steps - 1, self.data.image());
            let scores = gamma.chunks_exact(gamma.len() / images).zip(groups);
            mean(scores.map(|(gamma, groups)| scores::score(gamma, groups)))
        });
        laps.end(|profile| &mut profile.scores);
        if let Some(this) = read.last_mut().or(self.unread.last_mut()) {
            this.ami = scores.and_then(|s| s.ami);
            this.ari = scores.and_then(|s| s.ari);
            this.profile = laps.profile();
        }
        if read_now {
            self.finish_reading(&mut read);
        }
        Ok(read)
    }

    /// Reads the losses that [`Trainer::step`] has left on the device, so that counters and metrics are complete.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for a loss that is NaN or infinite.
    pub fn read_losses(&mut self) -> Result<Vec<Iteration>> {
        if self.unread.is_empty() {
            return Ok(Vec::new());
        }
        let mut read = self.unread.take(self.preset.train.score_every)?;
        self.finish_reading(&mut read);
        Ok(read)
    }

    /// Divides the time among the iterations just read, and adds them to the counters.
    fn finish_reading(&mut self, read: &mut [Iteration]) {
        let seconds = self.unread.seconds();
        let each = seconds / read.len() as f64;
        for iteration in read {
            iteration.seconds = each;
            self.counters.epoch_loss += iteration.loss;
        }
        self.counters.epoch_seconds += seconds;
    }

    /// Reads losses once every `iterations` (at least 1).
    pub fn set_read_every(&mut self, iterations: usize) {
        self.unread.every = iterations.max(1);
    }

    /// Whether to time the parts of an iteration. That waits for the device after every part, which slows training down
    /// on a GPU.
    pub fn set_profiled(&mut self, profiled: bool) {
        self.profiled = profiled;
    }

    /// Whether the last batch of the epoch is done, so that [`Trainer::end_epoch`] is due.
    pub fn epoch_is_over(&self) -> bool {
        self.counters.batches >= self.preset.iterations_per_epoch()
    }

    /// Validates and begins the next epoch. Call [`Trainer::read_losses`] before. Returns the epoch, and the scores of the
    /// watched samples and the components.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for a validation loss that is NaN or infinite, errors of the data, and [`Error::Stopped`];
    /// the epoch can be ended again later.
    pub fn end_epoch(&mut self) -> Result<(Epoch, Watched)> {
        let start = Instant::now();
        let samples = self.preset.train.validation_size;
        let result = self.evaluate(Split::Validation, samples, ScoredSteps::Weighted)?;
        let iteration = self.counters.iteration;
        if !result.loss.is_finite() {
            let (loss, kept) = (result.loss, String::new());
            return Err(Error::NotFinite { validation: true, iteration, loss, kept });
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
            ami_all_steps: result.weighted.ami,
            ami_arithmetic: result.last.ami_arithmetic,
            ari: result.last.ari,
            ari_all_steps: result.weighted.ari,
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

    /// Why the protocol ends the current stage, or the training without stages: the maximum number of epochs, or too many
    /// epochs without a better validation loss. `None` within an epoch.
    pub fn is_done(&self) -> Option<Finish> {
        self.counters.is_done(&self.preset.train)
    }

    /// Whether it has ended the last stage.
    pub fn is_finished(&self) -> bool {
        self.counters.is_finished(&self.preset.train)
    }

    /// The stage after the current one.
    fn following_stage(&self) -> Option<Stage> {
        self.preset.train.stages.get(self.counters.stages + 1).cloned()
    }

    /// Begins the next stage, if there is one: with its changes of the preset, fresh moments and the weights with the best
    /// validation loss of the current stage, which `best` loads.
    ///
    /// # Errors
    /// Those of [`Dataset::new`] and of `best`; the current stage then continues.
    pub fn next_stage(
        &mut self,
        best: impl FnOnce(&Preset, &Device) -> Result<Nem>,
    ) -> Result<Option<StageStart>> {
        let Some(stage) = self.following_stage() else { return Ok(None) };
        let preset = self.preset.at_stage(&stage);
        let data = Arc::new(Dataset::new(&preset, self.seed)?);
        // After a change that made losses incomparable, there is no best before the next validation.
        if self.counters.best_validation.is_some() {
            self.model = best(&self.preset, &self.device)?.with_precision(self.model.precision);
        }
        self.data = data;
        self.optimizer = optimizer(&preset.train.adam);
        self.take_preset(preset);
        let counters = &mut self.counters;
        counters.stages += 1;
        counters.stage_epochs = counters.epochs;
        counters.stage_iterations = counters.iteration;
        counters.best_validation = None;
        counters.stale_epochs = 0;
        Ok(Some(StageStart { stage: counters.stages + 1, iteration: counters.iteration + 1, what: stage }))
    }

    /// Evaluates the current weights.
    ///
    /// # Errors
    /// What the data meets; [`Error::Stopped`].
    pub fn evaluate(&self, split: Split, samples: usize, scored: ScoredSteps) -> Result<Evaluation> {
        let model = self.model.without_gradients();
        let (preset, data, seed) = (&self.preset, &self.data, self.seed);
        let task = Task { model: &model, preset, data, seed, split, samples, scored, stop: &self.stop };
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

    /// The batch after the current one, assuming that nothing changes.
    fn next_plan(&mut self) -> Plan {
        let batch = self.counters.batches + 1;
        if batch < self.preset.iterations_per_epoch() {
            self.plan(self.counters.epochs, batch)
        } else {
            self.plan(self.counters.epochs + 1, 0)
        }
    }
}
