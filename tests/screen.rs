//! What the screen shows: snapshots at fixed sizes, and no size or state that breaks it.

#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use nem_tui::tui::app::App;
use nem_tui::tui::theme::Depth;
use nem_tui::tui::update::{Message, update};
use nem_tui::tui::view;
use proptest::prelude::*;
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

/// The same cells as letters for their foregrounds.
fn letters(buf: &Buffer, letter: impl Fn(Color) -> char) -> String {
    let row = |y: u16| (0..buf.area.width).map(|x| letter(buf[(x, y)].fg)).collect::<String>();
    (0..buf.area.height).map(|y| row(y) + "\n").collect()
}

/// The same cells as colours: a letter for the nearest of a few, of the foreground.
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

#[test]
fn screens_at_fixed_sizes() {
    let quickstart = support::preset("quickstart");
    for (width, height) in [(40, 12), (80, 24), (200, 60)] {
        for (mode, depth) in [("colour", Depth::True), ("sixteen", Depth::Sixteen), ("plain", Depth::Plain)] {
            let picker = support::picker(depth);
            let workbench = support::workbench(depth, quickstart.clone(), 620, 4, 6);
            let mut profiled = workbench.clone();
            support::profile(&mut profiled);
            let model = support::model(depth);
            let inspector = support::pressed(&workbench, "i");
            let curves = support::pressed(&workbench, "\tVVyx←←");
            let palette = support::pressed(&workbench, ":se");
            let deltas = support::pressed(&workbench, "mv");
            let mut runs = workbench.clone();
            support::compare(&mut runs);
            let rivals = support::pressed(&runs, "q\tf");
            let mut past = workbench.clone();
            support::look_back(&mut past);
            let apps = [
                ("picker", picker),
                ("model", model),
                ("workbench", workbench),
                ("profile", profiled),
                ("inspector", inspector),
                ("curves", curves),
                ("palette", palette),
                ("deltas", deltas),
                ("runs", runs),
                ("rivals", rivals),
                ("past", past),
            ];
            for (name, app) in apps {
                let buf = render(&app, width, height);
                let mut shown = text(&buf);
                match depth {
                    Depth::True => shown += &colours(&buf),
                    Depth::Sixteen => shown += &sixteen(&buf),
                    _ => {}
                }
                insta::assert_snapshot!(format!("{name}-{width}x{height}-{mode}"), shown);
            }
        }
    }
}

#[test]
fn help_and_questions_lie_over_the_screen() {
    use crossterm::event::{KeyCode, KeyEvent};
    let mut app = support::workbench(Depth::Plain, support::preset("quickstart"), 620, 4, 6);
    update(&mut app, Message::Key(KeyEvent::from(KeyCode::Char('?'))));
    // What does not fit is a few keys away.
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

/// What looks wrong, of a run in which everything does.
#[test]
fn health_is_in_sentences_with_numbers() {
    use nem_tui::protocol::{Epoch, Event, Iteration};
    use nem_tui::tui::health;
    let app = support::workbench(Depth::Plain, support::preset("quickstart"), 620, 4, 6);
    let said = |app: &App| health::warnings(app.workbench.as_ref().unwrap()).join("\n");
    assert_eq!(said(&app), "");
    let mut sick = app.clone();
    let workbench = sick.workbench.as_mut().unwrap();
    workbench.preset.k = 2;
    let blow =
        Iteration { iteration: 630, loss: 9000.0, gradient_norm: Some(4000.0), ..Iteration::default() };
    update(&mut sick, Message::Engine(Event::Iterations(vec![blow])));
    for epoch in 7..10 {
        let worse = Epoch { epoch, iteration: 100 * epoch, validation_loss: 2000.0, ..Epoch::default() };
        update(&mut sick, Message::Engine(Event::Epoch(worse)));
    }
    let all = said(&sick);
    for words in [
        "K is 2 and there are 3 objects: at least two of them have to share a component",
        "the loss has jumped to 9000.0,",
        "the gradient explodes: its norm is 4000.0, 333 times what is usual",
        "the validation loss rises: 2000.0, and it was",
    ] {
        assert!(all.contains(words), "{words}:\n{all}");
    }
    let shown = support::pressed(&sick, "h");
    insta::assert_snapshot!("health-80x24-plain", text(&render(&shown, 80, 24)));
}

/// Hours on the axis of the curves, and seconds where there are no hours.
#[test]
fn curves_are_drawn_over_the_time() {
    let app = support::workbench(Depth::Plain, support::preset("quickstart"), 620, 4, 6);
    let app = support::pressed(&app, "\txxz");
    insta::assert_snapshot!("time-80x24-plain", text(&render(&app, 80, 24)));
}

/// The same cells as their colours, a letter for each of the 16; a dot where the terminal's own is left.
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

#[test]
fn a_white_background() {
    use nem_tui::tui::theme::{Scheme, Theme};
    let themes = [
        ("sixteen-light", Theme { depth: Depth::Sixteen, scheme: Scheme::Light }),
        ("light", Theme { depth: Depth::True, scheme: Scheme::Light }),
    ];
    for (mode, theme) in themes {
        let picker = support::picker(theme.depth);
        let workbench = support::workbench(theme.depth, support::preset("quickstart"), 620, 4, 6);
        for (name, mut app) in [("picker", picker), ("workbench", workbench)] {
            app.theme = theme;
            let buf = render(&app, 80, 24);
            let colours = if theme.depth == Depth::Sixteen { sixteen(&buf) } else { colours(&buf) };
            insta::assert_snapshot!(format!("{name}-80x24-{mode}"), text(&buf) + &colours);
        }
    }
}

/// What is shown is what is bound, and a broken config is said over the defaults.
#[test]
fn the_screen_names_the_keys_in_force() {
    use nem_tui::tui::config::Config;
    let text_config =
        r#"(keys: { "pause": "ctrl-p", "profile": "f3", "undo": [], "sample-next": ["pageup", "j"] })"#;
    let mut app = support::workbench(Depth::Plain, support::preset("quickstart"), 620, 4, 6);
    app.configure(Config::parse(text_config).map_err(nem_tui::error::Error::Usage));
    assert_eq!(app.message, None);
    insta::assert_snapshot!("config-help-80x40-plain", text(&render(&support::pressed(&app, "?"), 80, 40)));
    let footer = text(&render(&app, 140, 24)).lines().last().unwrap().to_owned();
    assert!(footer.contains("ctrl-p pause") && footer.contains(", pageup sample"), "{footer}");
    assert!(!footer.contains("undo") && !footer.contains("space"), "{footer}");

    let broken = Config::parse("(theme: Dark, keys: { \"puase\": \"p\" })").unwrap_err();
    let broken = nem_tui::error::Error::content("/home/me/.config/nem-tui/config.ron".as_ref(), broken);
    let mut app = support::picker(Depth::Plain);
    app.configure(Err(broken));
    insta::assert_snapshot!("config-error-80x24-plain", text(&render(&app, 80, 24)));
}

/// An image of one's own is named, has no truth, and where it has another size is asked about.
#[test]
fn an_image_of_ones_own_is_named() {
    use nem_tui::protocol::Event;
    use nem_tui::snapshot::Input;
    let mut app = support::workbench(Depth::Plain, support::preset("quickstart"), 620, 4, 6);
    let input = app.workbench.as_mut().unwrap().ask_for("/home/me/my picture.png".into(), false);
    let wrong = Event::WrongSize { input: input.clone(), size: [640, 480] };
    let mut asked = app.clone();
    update(&mut asked, Message::Engine(wrong));
    let shown = text(&render(&asked, 80, 24));
    assert!(shown.contains("my picture.png has 640x480 pixels; the model's images have 20x20"), "{shown}");
    insta::assert_snapshot!("resize-80x24-plain", shown);
    let input = Input { resize: true, ..input };
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
    assert!(status.contains("inspector  my picture.png resized  it 600  EM step 9/9"), "{status}");
    assert!(shown.contains("gamma") && !shown.contains("truth"), "{shown}");
    insta::assert_snapshot!("own-80x24-plain", text(&render(&app, 80, 24)));
}

/// Who has trained nothing and set nothing is told what to press first.
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
    assert!(!text(&render(&new, 40, 12)).contains("first time"), "no line can be spared");
}

/// Terminals that say they are smaller than anything, and such as shrink before they are drawn on.
#[test]
fn a_terminal_that_lies_about_its_size_breaks_nothing() {
    use nem_tui::tui::view::target;
    let workbench = support::workbench(Depth::Sixteen, support::preset("quickstart"), 620, 4, 6);
    let mut told = workbench.clone();
    told.message = Some("a sentence that is longer than any of these screens is wide".into());
    let mut profiled = workbench.clone();
    support::profile(&mut profiled);
    let mut apps = vec![
        support::picker(Depth::True),
        support::picker_with(Depth::Plain, false),
        support::model(Depth::True),
        told,
        profiled,
    ];
    for keys in ["", "i", "\tVVyx←←", ":se", "mv", "?", "h", "q", "Q", "!", "z", "\tz"] {
        apps.push(support::pressed(&workbench, keys));
    }
    for (width, height) in (0..=8).flat_map(|w| (0..=8).map(move |h| (w, h))) {
        let area = Rect::new(0, 0, width, height);
        for app in &apps {
            assert_eq!(render(app, width, height).area, area);
            for at in Rect::new(0, 0, 9, 9).positions() {
                target(app, area, at);
            }
            // It was larger when it was asked.
            for (more, further) in [(1, 0), (0, 1), (80, 24)] {
                let mut buf = Buffer::empty(area);
                view::render(app, Rect::new(0, 0, width + more, height + further), &mut buf);
            }
        }
    }
}

#[test]
fn the_log_lies_over_the_screen() {
    let app = support::workbench(Depth::Plain, support::preset("quickstart"), 620, 4, 6);
    let mut app = support::pressed(&app, "!");
    let line =
        |n: usize| format!("2026-01-02T03:04:{n:02}Z  INFO nem_tui::engine: checkpoint it-{n:08} is written");
    let mut lines: Vec<String> = (0..40).map(line).collect();
    lines.push(format!("{} \u{1b}[31mand what is too long for one line goes on in the next", line(41)));
    update(&mut app, Message::Log(Ok(lines)));
    insta::assert_snapshot!("log-80x24-plain", text(&render(&app, 80, 24)));
    let app = support::pressed(&app, "↑↑");
    let shown = text(&render(&app, 80, 24));
    assert!(shown.contains("stands still, 2 below") && !shown.contains("it-00000039"), "{shown}");
}

/// What is under the mouse is what is drawn there, at any size.
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

        let app = support::workbench(Depth::Plain, support::preset("quickstart"), 620, 4, 6);
        let shown = render(&app, width, height);
        for at in everywhere().filter(|at| shown[*at].symbol() == "╭") {
            let title: String = (at.x..width).take(9).map(|x| shown[(x, at.y)].symbol()).collect();
            let pane = match &title {
                title if title.contains("loss") => Pane::Loss,
                title if title.contains("scores") => Pane::Scores,
                _ => Pane::Components,
            };
            assert_eq!(target(&app, area, at), Some(Target::Pane(pane)), "{width}x{height} {title}");
        }
        assert_eq!(target(&app, area, Position::new(3, 0)), None, "the status line");

        // The cursor is drawn where the mouse says its pixel is.
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
    }
}

/// A plain screen carries no colour at all, and names components by digits.
#[test]
fn a_plain_screen_has_no_colour() {
    let app = support::workbench(Depth::Plain, support::preset("quickstart"), 620, 4, 6);
    let buf = render(&app, 120, 40);
    assert!(buf.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert!(!text(&buf).contains('▀'));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    #[test]
    fn no_size_and_no_state_breaks_the_screen(
        width in 1u16..220,
        height in 1u16..70,
        k in 1usize..65,
        steps in 1usize..12,
        rows in 1usize..65,
        columns in 1usize..65,
        iterations in 0u64..800,
        zoomed in any::<bool>(),
        depth in prop_oneof![Just(Depth::Plain), Just(Depth::Sixteen), Just(Depth::Cube)],
    ) {
        let mut preset = support::preset("quickstart");
        preset.data = nem_tui::preset::Data::Tensors { channels: 1, height: rows, width: columns };
        let mut app = support::workbench(depth, preset, iterations, k, steps);
        if let Some(workbench) = &mut app.workbench {
            workbench.zoomed = zoomed;
            workbench.em_step = Some(steps + 3);
            let mut broken = (**workbench.snapshot.as_ref().unwrap()).clone();
            broken.steps[0].gamma.fill(f32::NAN);
            broken.steps[0].preds.truncate(3);
            if iterations % 3 == 0 {
                workbench.snapshot = Some(std::sync::Arc::new(broken));
            }
        }
        let all = render(&app, width, height);
        prop_assert_eq!(all.area, Rect::new(0, 0, width, height));
        render(&support::picker(depth), width, height);
    }
}
