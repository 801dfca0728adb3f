//! What the screen shows: snapshots at fixed sizes, and proof that no size or state breaks it.

#![allow(clippy::unwrap_used)] // a test's way to fail

#[path = "screen/room.rs"]
mod room;
#[path = "screen/sizes.rs"]
mod sizes;
mod support;

use std::panic::catch_unwind;

use nem_tui::tui::app::{App, Entry};
use nem_tui::tui::theme::{Depth, Scheme, Theme};
use nem_tui::tui::update::{Message, update};
use nem_tui::tui::view;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

fn render(app: &App, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    view::render(app, area, &mut buf);
    buf
}

fn text(buf: &Buffer) -> String {
    let row = |y: u16| (0..buf.area.width).map(|x| buf[(x, y)].symbol()).collect::<String>();
    (0..buf.area.height).map(|y| row(y).trim_end().to_owned() + "\n").collect()
}

/// A letter for the foreground of every cell.
fn letters(buf: &Buffer, letter: impl Fn(Color) -> char) -> String {
    let row = |y: u16| (0..buf.area.width).map(|x| letter(buf[(x, y)].fg)).collect::<String>();
    (0..buf.area.height).map(|y| row(y) + "\n").collect()
}

/// A letter for the closest of a few colours.
fn colours(buf: &Buffer) -> String {
    let letter = |colour: Color| match colour {
        Color::Rgb(r, g, b) => {
            let near = [
                ('#', [255, 255, 255]),
                ('k', [0, 0, 0]),
                ('g', [140, 145, 158]),
                ('o', [230, 158, 0]),
                ('s', [87, 181, 232]),
                ('t', [0, 158, 115]),
                ('y', [240, 227, 66]),
                ('p', [204, 120, 166]),
            ];
            let distance = |c: [i32; 3]| {
                (c[0] - i32::from(r)).pow(2) + (c[1] - i32::from(g)).pow(2) + (c[2] - i32::from(b)).pow(2)
            };
            near.into_iter().min_by_key(|(_, c)| distance(*c)).map_or('?', |(letter, _)| letter)
        }
        Color::Reset => '.',
        _ => '?',
    };
    letters(buf, letter)
}

/// A letter for each of the 16 colours, and a dot for the terminal's own.
fn sixteen(buf: &Buffer) -> String {
    let letter = |colour: Color| match colour {
        Color::Reset => '.',
        Color::Black => 'k',
        Color::Red => 'r',
        Color::Green => 'g',
        Color::Yellow => 'y',
        Color::Blue => 'b',
        Color::Magenta => 'm',
        Color::Cyan => 'c',
        Color::Gray => 'w',
        Color::DarkGray => 'K',
        Color::LightRed => 'R',
        Color::LightYellow => 'Y',
        Color::LightBlue => 'B',
        Color::LightMagenta => 'M',
        Color::LightCyan => 'C',
        Color::White => 'W',
        _ => '?',
    };
    letters(buf, letter)
}

/// A width, a height, and how the snapshot's name ends.
type Case = (u16, u16, &'static str);

const NORMAL: [Case; 2] = [(80, 24, "colour"), (80, 24, "plain")];
const SIXTEEN: [Case; 1] = [(80, 24, "sixteen")];
const EXTREMES: [Case; 2] = [(40, 12, "colour"), (200, 60, "colour")];

/// Compares a screen with its snapshots. Fails after the last case, so that all that differ are reported.
fn compare(screen: &str, app: impl Fn(Depth) -> App, cases: &[Case]) {
    let differs = |(width, height, mode): &Case| {
        let (depth, scheme) = match *mode {
            "colour" => (Depth::True, Scheme::Dark),
            "light" => (Depth::True, Scheme::Light),
            "sixteen" => (Depth::Sixteen, Scheme::Dark),
            "sixteen-light" => (Depth::Sixteen, Scheme::Light),
            _ => (Depth::Plain, Scheme::Dark),
        };
        let app = App { theme: Theme { depth, scheme }, ..app(depth) };
        let buf = render(&app, *width, *height);
        let mut shown = text(&buf);
        match depth {
            Depth::True => shown += &colours(&buf),
            Depth::Sixteen => shown += &sixteen(&buf),
            _ => {}
        }
        catch_unwind(|| insta::assert_snapshot!(format!("{screen}-{width}x{height}-{mode}"), shown)).is_err()
    };
    let different: Vec<_> = cases.iter().filter(|case| differs(case)).collect();
    assert!(different.is_empty(), "{screen} differs: {different:?}");
}

/// A run of quickstart after six epochs.
fn workbench(depth: Depth) -> App {
    support::workbench(depth, support::preset("quickstart"), 620, 4, 6)
}

/// The same beside two other runs.
fn runs(depth: Depth) -> App {
    let mut app = workbench(depth);
    support::compare(&mut app);
    app
}

#[test]
fn the_picker() {
    compare("picker", support::picker, &[&NORMAL[..], &SIXTEEN, &EXTREMES].concat());
}

#[test]
fn the_table_of_runs() {
    compare("table", support::table, &[&NORMAL[..], &EXTREMES].concat());
}

/// In the list they would hide everything else.
#[test]
fn trials_are_counted_in_the_list() {
    let app = support::pressed(&support::table(Depth::Plain), "t");
    let shown = text(&render(&app, 80, 30));
    assert!(shown.contains("t shows 6 trials of sweeps") && !shown.contains("k=3"), "{shown}");
}

#[test]
fn a_trained_model() {
    compare("model", support::model, &NORMAL);
}

#[test]
fn the_workbench() {
    compare("workbench", workbench, &[&NORMAL[..], &SIXTEEN, &EXTREMES].concat());
}

#[test]
fn a_profile() {
    let profiled = |depth| {
        let mut app = workbench(depth);
        support::profile(&mut app);
        app
    };
    compare("profile", profiled, &NORMAL);
}

#[test]
fn the_inspector() {
    compare("inspector", |depth| support::pressed(&workbench(depth), "i"), &NORMAL);
}

#[test]
fn a_drawing() {
    compare("drawing", support::drawing, &[&NORMAL[..], &EXTREMES].concat());
}

#[test]
fn two_models_side_by_side() {
    compare("beside", support::beside, &[&NORMAL[..], &EXTREMES].concat());
}

#[test]
fn curves_zoomed_and_read() {
    compare("curves", |depth| support::pressed(&workbench(depth), "\tVVyx←←"), &NORMAL);
}

#[test]
fn the_palette() {
    compare("palette", |depth| support::pressed(&workbench(depth), ":se"), &NORMAL);
}

#[test]
fn components_as_masks_and_deltas() {
    compare("deltas", |depth| support::pressed(&workbench(depth), "mv"), &NORMAL);
}

#[test]
fn the_list_of_other_runs() {
    compare("runs", runs, &NORMAL);
}

#[test]
fn curves_of_compared_runs() {
    compare("rivals", |depth| support::pressed(&runs(depth), "q\tf"), &NORMAL);
}

#[test]
fn a_moment_of_the_past() {
    let past = |depth| {
        let mut app = workbench(depth);
        support::look_back(&mut app);
        app
    };
    compare("past", past, &NORMAL);
}

#[test]
fn a_white_background() {
    let cases = [(80, 24, "light"), (80, 24, "sixteen-light")];
    for (screen, app) in [("picker", support::picker as fn(Depth) -> App), ("workbench", workbench)] {
        compare(screen, app, &cases);
    }
}

#[test]
fn help_and_questions_lie_over_the_screen() {
    use crossterm::event::{KeyCode, KeyEvent};
    let mut app = workbench(Depth::Plain);
    update(&mut app, Message::Key(KeyEvent::from(KeyCode::Char('?'))));
    // The rest of the help is reached by scrolling.
    let mut shown = text(&render(&app, 100, 24));
    for _ in 0..40 {
        update(&mut app, Message::Key(KeyEvent::from(KeyCode::Down)));
        shown += &text(&render(&app, 100, 24));
    }
    for line in nem_tui::tui::actions::help(&app.config.keymap, app.context()) {
        assert!(shown.contains(line.help), "help lacks {:?}:\n{shown}", line.help);
    }
    update(&mut app, Message::Key(KeyEvent::from(KeyCode::Esc)));
    update(&mut app, Message::Key(KeyEvent::from(KeyCode::Char('q'))));
    insta::assert_snapshot!("leave-80x24-plain", text(&render(&app, 80, 24)));
}

/// A run in which everything looks wrong.
#[test]
fn health_is_reported_in_sentences_with_numbers() {
    use nem_tui::protocol::{Epoch, Event, Iteration};
    use nem_tui::tui::health;
    let app = workbench(Depth::Plain);
    let said = |app: &App| health::warnings(app.workbench.as_ref().unwrap()).join("\n");
    assert_eq!(said(&app), "");
    let mut sick = app.clone();
    let workbench = sick.workbench.as_mut().unwrap();
    workbench.preset.k = 2;
    let (loss, gradient_norm) = (9000.0, Some(4000.0));
    let blow = |iteration| Iteration { iteration, loss, gradient_norm, ..Iteration::default() };
    update(&mut sick, Message::Run(Event::Iterations((626..631).map(blow).collect())));
    for epoch in 7..10 {
        let (ami, ari) = (Some(0.0), Some(0.0));
        let worse =
            Epoch { epoch, iteration: 100 * epoch, validation_loss: 2000.0, ami, ari, ..Epoch::default() };
        update(&mut sick, Message::Run(Event::Epoch(worse)));
    }
    let all = said(&sick);
    for words in [
        "K is 2 and there are 3 objects: at least two of them have to share a component",
        "the loss has jumped to 9000.0,",
        "the gradient explodes: its norm is 4000.0, 333 times what is usual",
        "the validation loss rises: it is 2000.0 and was",
    ] {
        assert!(all.contains(words), "{words}:\n{all}");
    }
    let shown = support::pressed(&sick, "h");
    insta::assert_snapshot!("health-80x24-plain", text(&render(&shown, 80, 24)));
}

/// The time axis, in seconds for a run of less than an hour.
#[test]
fn curves_are_drawn_over_time() {
    let app = workbench(Depth::Plain);
    let app = support::pressed(&app, "\txxz");
    insta::assert_snapshot!("time-80x24-plain", text(&render(&app, 80, 24)));
}

/// The screen names the bound keys, and a broken config is reported while the defaults apply.
#[test]
fn the_screen_names_the_keys_in_force() {
    use nem_tui::tui::config::Config;
    let text_config =
        r#"(keys: { "pause": "ctrl-p", "profile": "f3", "undo": [], "sample-next": ["home", "j"] })"#;
    let mut app = workbench(Depth::Plain);
    app.configure(Config::parse(text_config).map_err(nem_tui::error::Error::Usage));
    assert_eq!(app.message, None);
    insta::assert_snapshot!("config-help-80x40-plain", text(&render(&support::pressed(&app, "?"), 80, 40)));
    let footer = text(&render(&app, 140, 24)).lines().last().unwrap().to_owned();
    assert!(footer.contains("ctrl-p pause") && footer.contains(", home sample"), "{footer}");
    assert!(!footer.contains("undo") && !footer.contains("space"), "{footer}");

    let broken = Config::parse("(theme: Dark, keys: { \"puase\": \"p\" })").unwrap_err();
    let broken = nem_tui::error::Error::content("/home/me/.config/nem-tui/config.ron".as_ref(), broken);
    let mut app = support::picker(Depth::Plain);
    app.configure(Err(broken));
    insta::assert_snapshot!("config-error-80x24-plain", text(&render(&app, 80, 24)));
}

/// The user's own image is shown by name and without a truth; if its size is wrong, the user is asked about it.
#[test]
fn the_users_own_image_is_named() {
    use nem_tui::protocol::Event;
    use nem_tui::snapshot::{Input, Source};
    let mut app = workbench(Depth::Plain);
    let input = app
        .workbench
        .as_mut()
        .unwrap()
        .ask_for(Source::File { path: "/home/me/my picture.png".into(), resize: false });
    let wrong = Event::WrongSize { input: input.clone(), size: [640, 480] };
    let mut asked = app.clone();
    update(&mut asked, Message::Run(wrong));
    let shown = text(&render(&asked, 80, 24));
    assert!(shown.contains("my picture.png has 640x480 pixels; the model's images have 20x20"), "{shown}");
    insta::assert_snapshot!("resize-80x24-plain", shown);
    let input = Input::file("/home/me/my picture.png", true, input.request);
    app.workbench.as_mut().unwrap().input = Some(input.clone());
    let snapshot = support::snapshot(&support::preset("quickstart"), 4, 9);
    let mut snapshot = nem_tui::snapshot::Snapshot { input: Some(input), ..snapshot };
    for step in &mut snapshot.steps {
        step.groups.fill(0);
        (step.ami, step.ari, step.confidence) = (None, None, None);
    }
    update(&mut app, Message::Picture(std::sync::Arc::new(snapshot)));
    let shown = text(&render(&app, 200, 60));
    let status = shown.lines().next().unwrap();
    assert!(status.contains("inspector  my picture.png resized  iteration 600  EM step 9/9"), "{status}");
    assert!(shown.contains("gamma") && !shown.contains("truth"), "{shown}");
    insta::assert_snapshot!("own-80x24-plain", text(&render(&app, 80, 24)));
}

/// A run that failed is marked in the list, and its details say why.
#[test]
fn a_run_in_trouble_is_marked() {
    let mut app = support::picker(Depth::True);
    let trouble = "failed: training stopped: the loss became NaN in iteration 1207";
    for entry in &mut app.picker.entries {
        if let Entry::Run(run) = entry {
            run.trouble = Some(trouble.into());
        }
    }
    app.picker.selected = app.picker.entries.len() - 1;
    let buf = render(&app, 120, 40);
    let shown = text(&buf);
    assert!(shown.contains("! quickstart-s1  it 1200"), "{shown}");
    assert!(shown.contains(&format!("trouble  {trouble}")), "{shown}");
    let narrow = text(&render(&app, 58, 40));
    assert!(narrow.contains("! quickstart-s1  it 1200  AMI 0.85  failed: "), "{narrow}");
    let marked =
        buf.content.iter().any(|cell| cell.symbol() == "!" && cell.fg == app.theme.warning().fg.unwrap());
    assert!(marked, "in the warning colour");
}

/// A dash instead of a score where nothing can be scored, with the reason.
#[test]
fn what_cannot_be_scored_is_a_dash() {
    use nem_tui::protocol::{Epoch, Event, Floor, Iteration};
    use nem_tui::tui::health;
    let preset = support::preset("quickstart").set(&["k=1", "data.objects=1"]).unwrap();
    let mut app = support::workbench(Depth::Plain, preset, 0, 1, 0);
    let done = Iteration { iteration: 1, loss: 3.0, gradient_norm: Some(0.0), ..Iteration::default() };
    let epoch = Epoch { epoch: 1, iteration: 1, confidence: Some(1.0), ..Epoch::default() };
    for event in [Event::Floor(Floor::default()), Event::Iterations(vec![done]), Event::Epoch(epoch)] {
        update(&mut app, Message::Run(event));
    }
    let shown = text(&render(&app, 160, 50));
    for words in [
        "validation AMI (last step) –",
        "ARI –",
        "floor –",
        "with one component or one object there is nothing",
    ] {
        assert!(shown.contains(words), "{words}:\n{shown}");
    }
    let said = health::warnings(app.workbench.as_ref().unwrap()).join("\n");
    assert_eq!(said, "", "a stage of one object is nothing wrong");
}

/// A user without runs and without a config sees what to press first.
#[test]
fn the_picker_tells_a_newcomer_what_to_press() {
    use nem_tui::tui::config::Config;
    let told = |app: &App| text(&render(app, 80, 24)).contains("first time? enter trains quickstart");
    let new = support::picker_with(Depth::Plain, false);
    insta::assert_snapshot!("newcomer-80x24-plain", text(&render(&new, 80, 24)));
    assert!(told(&new) && !told(&support::picker(Depth::Plain)));
    let mut set = new.clone();
    set.configure(Ok(Config::parse("(notice: Bell)").unwrap()));
    assert!(!told(&set));
    assert!(!text(&render(&new, 40, 12)).contains("first time"), "there is no line to spare");
}

#[test]
fn the_log_lies_over_the_screen() {
    let app = workbench(Depth::Plain);
    let mut app = support::pressed(&app, "!");
    let line =
        |n: usize| format!("2026-01-02T03:04:{n:02}Z  INFO nem_tui::engine: checkpoint it-{n:08} is written");
    let mut lines: Vec<String> = (0..40).map(line).collect();
    lines.push(format!("{} \u{1b}[31mand what is too long for one line goes on in the next", line(41)));
    let run = app.workbench.as_ref().unwrap().info.directory.clone();
    update(&mut app, Message::Log(run, Ok(lines)));
    insta::assert_snapshot!("log-80x24-plain", text(&render(&app, 80, 24)));
    let app = support::pressed(&app, "↑↑");
    let shown = text(&render(&app, 80, 24));
    assert!(shown.contains("stands still, 2 below") && !shown.contains("it-00000039"), "{shown}");
}

/// A click hits what is drawn there, at any size.
#[test]
fn the_mouse_hits_what_is_drawn() {
    use nem_tui::tui::view::{Target, target};
    use nem_tui::tui::workbench::Pane;
    use ratatui::layout::Position;
    for (width, height) in [(30, 9), (40, 12), (80, 24), (200, 60)] {
        let area = Rect::new(0, 0, width, height);
        let everywhere = || area.positions().map(|at: Position| at);

        let app = support::picker(Depth::Plain);
        let shown = render(&app, width, height);
        let mut hit = 0;
        for at in everywhere() {
            if let Some(Target::Entry(entry)) = target(&app, area, at) {
                let row: String = (0..width).map(|x| shown[(x, at.y)].symbol()).collect();
                let chosen = entry == app.picker.selected;
                assert_eq!(row.contains('›'), chosen, "{width}x{height} {at}: {row}");
                hit += 1;
            }
        }
        assert!(hit > 0);

        let app = workbench(Depth::Plain);
        let shown = render(&app, width, height);
        for at in everywhere().filter(|at| shown[*at].symbol() == "╭") {
            let title: String = (at.x..width).take(9).map(|x| shown[(x, at.y)].symbol()).collect();
            let pane = match &title {
                title if title.contains("loss") => Pane::Loss,
                title if title.contains("AMI ") && !title.contains("sample") => Pane::Scores,
                _ => Pane::Components,
            };
            assert_eq!(target(&app, area, at), Some(Target::Pane(pane)), "{width}x{height} {title}");
        }
        assert_eq!(target(&app, area, Position::new(3, 0)), None, "the status line");

        // The cursor is drawn on the pixel that was clicked.
        let mut app = support::pressed(&app, "i");
        let mut hit = 0;
        for at in everywhere().filter(|at| (at.x + at.y) % 5 == 0) {
            let Some(Target::Pixel(x, y)) = target(&app, area, at) else { continue };
            update(&mut app, Message::Click(Target::Pixel(x, y)));
            let shown = render(&app, width, height);
            let near =
                (at.x.saturating_sub(1)..=at.x + 1).any(|x| x < width && shown[(x, at.y)].symbol() == "┼");
            assert!(near, "{width}x{height}: no cursor at {at} for pixel {x}, {y}");
            hit += 1;
        }
        assert!(hit > 0 || width < 40, "{width}x{height}");

        // So is the brush.
        let mut app = support::pressed(&app, "d");
        let mut hit = 0;
        for at in everywhere().filter(|at| (at.x + at.y) % 5 == 0) {
            let Some(Target::Pixel(x, y)) = target(&app, area, at) else { continue };
            update(&mut app, Message::Click(Target::Pixel(x, y)));
            update(&mut app, Message::Drag(None));
            let shown = render(&app, width, height);
            let brush = |x| x < width && ["┼", "+"].contains(&shown[(x, at.y)].symbol());
            // A click on a picture beside the canvas draws on the canvas.
            let on_canvas = brush(at.x) || (at.x.saturating_sub(1)..=at.x + 1).any(brush);
            hit += usize::from(on_canvas);
        }
        assert!(hit > 0, "{width}x{height}");
    }
}

/// A plain screen has no colour and marks components with digits.
#[test]
fn a_plain_screen_has_no_colour() {
    let app = workbench(Depth::Plain);
    let buf = render(&app, 120, 40);
    assert!(buf.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert!(!text(&buf).contains('▀'));
}
