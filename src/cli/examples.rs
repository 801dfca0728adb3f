//! The examples at the end of each command's `--help`.

pub(super) const TUI: &str = "\
Examples:
  nem-tui                                     choose a model, a preset or a run
  nem-tui --preset quickstart                 train a preset at once
  nem-tui --look static-shapes -i mine.png    split an image of your own";

pub(super) const TRAIN: &str = "\
Examples:
  nem-tui train quickstart                    train for about a minute
  nem-tui train quickstart --set k=6          with six components
  nem-tui train --resume runs/quickstart-s1   resume where it stopped";

pub(super) const SWEEP: &str = "\
Examples:
  nem-tui sweep k.ron --dry-run               its trials, and about how long
  nem-tui sweep k.ron --executor slurm        as an array of Slurm's jobs
  nem-tui sweep table k.ron                   means over seeds, and the best";

pub(super) const ATTACH: &str = "\
Examples:
  nem-tui train quickstart                    train in one terminal
  nem-tui attach runs/quickstart-s1           watch and steer in another";

pub(super) const EVAL: &str = "\
Examples:
  nem-tui eval static-shapes --samples 1000   score a model of the program
  nem-tui eval runs/quickstart-s1 --per-step  score a run at all EM steps
  nem-tui eval runs/a runs/b --json           two runs, and their mean";

pub(super) const PICTURE: &str = "\
Examples:
  nem-tui picture static-shapes --out a.gif   EM step by EM step
  nem-tui picture runs/a --out a.png --overview  all EM steps side by side
  nem-tui picture static-shapes --out a.png --input mine.png --resize
                                              an image of your own";

pub(super) const CURVES: &str = "\
Examples:
  nem-tui curves runs/quickstart-s1 --svg a.svg  draw losses and scores
  nem-tui curves runs/quickstart-s1 --csv -   print a row per iteration";

pub(super) const EXPORT: &str = "\
Examples:
  nem-tui export runs/quickstart-s1 --out mine  share its best weights
  nem-tui export runs/a --out mine --half     with 16 bits per weight";

pub(super) const PRESETS: &str = "\
Examples:
  nem-tui presets                             list the presets
  nem-tui presets quickstart > mine.ron       start a preset of your own";

pub(super) const REPRODUCE: &str = "\
Examples:
  nem-tui reproduce static --budget 60        train and score for an hour
  nem-tui reproduce static --seeds 1          one run per row, not five";

pub(super) const DATA: &str = "\
Examples:
  nem-tui data check                          which digits presets get
  nem-tui data fetch mnist                    download MNIST for them
  nem-tui data check --mnist digits           check MNIST's files there";

pub(super) const CONFIG: &str = "\
Examples:
  nem-tui config                              print the config in force
  nem-tui config > config.ron                 start a config of your own";

pub(super) const VERIFY: &str = "\
Examples:
  nem-tui verify runs/quickstart-s1           check every file of a run
  nem-tui verify runs/quickstart-s1 --json    the same as JSON";

pub(super) const BENCH: &str = "\
Examples:
  nem-tui bench quickstart                    time iterations on this machine
  nem-tui bench quickstart --device flex      on the device flex";

pub(super) const INFER: &str = "\
Examples:
  nem-tui infer --weights static-shapes --input a.png --output a.safetensors
                                              an image of your own
  nem-tui infer --weights runs/a --input x.npy --output - --grad
                                              with gradients, to stdout";

pub(super) const COMPLETIONS: &str = "\
Examples:
  nem-tui completions bash > nem-tui.bash     for bash; source this file
  nem-tui completions zsh > _nem-tui          for zsh; save it in $fpath";

pub(super) const MAN: &str = "\
Examples:
  nem-tui man > nem-tui.1                     write the manual page
  nem-tui man | man -l -                      read it";
