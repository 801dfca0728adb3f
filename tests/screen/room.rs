//! How screens use their room: nothing is cut without a sign, everything can be reached, and pictures are as large as fits.

use nem_tui::protocol::{Iteration, Metrics, Record, RunToCompare};
use nem_tui::tui::app::App;
use nem_tui::tui::theme::Depth;
use nem_tui::tui::update::{Message, update};
use nem_tui::tui::view;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{render, runs, support, text, workbench};

/// The texts of a screen's first and last lines, and of the titles of its panes.
fn lines_of_fields(buf: &Buffer) -> Vec<String> {
    let shown = text(buf);
    let rows: Vec<&str> = shown.lines().collect();
    let titles = rows.iter().filter(|row| row.contains('╭')).flat_map(|row| row.split('╭').skip(1));
    let titles =
        titles.map(|title| title.split('╮').next().unwrap_or_default().trim_end_matches('─').to_owned());
    let ends = rows.iter().take(1).chain(rows.iter().rev().take(2)).map(|row| (*row).to_owned());
    ends.chain(titles).collect()
}

/// At every width, each label is followed by its whole value, what is worth most is kept, and the keys that lead to
/// all others stay in the last line.
#[test]
fn nothing_is_cut_without_a_sign_at_any_width() {
    use nem_tui::protocol::{Event, Finish};
    let training = workbench(Depth::Plain);
    let mut failed = training.clone();
    let why = "the loss became NaN in iteration 620; a lower learning rate may hold it";
    update(&mut failed, Message::Run(Event::Finished(Finish::Failed(why.into()))));
    let mut past = training.clone();
    support::look_back(&mut past);
    let mut profiled = training.clone();
    support::profile(&mut profiled);
    let mut attached = training.clone();
    attached.attached = true;
    let screens = [
        ("a training", training.clone()),
        ("a failure", failed),
        ("the past", past.clone()),
        ("the past inspected", support::pressed(&past, "i")),
        ("a profile", profiled),
        ("attached", attached),
        ("other values", support::pressed(&training, "KNLTOW")),
        ("the inspector", support::pressed(&training, "iKN")),
        ("curves", support::pressed(&training, "\tVVyx←←")),
        ("compared runs", support::pressed(&runs(Depth::Plain), "q\tf")),
        ("sorted and played", support::pressed(&training, "ba")),
        ("a model", support::model(Depth::Plain)),
        ("the picker", support::picker(Depth::Plain)),
    ];
    for (name, app) in screens {
        // What is whole on a wide screen, in words.
        let whole: Vec<String> =
            [200, 320, 500].map(|width| lines_of_fields(&render(&app, width, 24))).concat();
        let whole = whole.join("\n");
        for width in 1..=200 {
            let buf = render(&app, width, 24);
            let lines = lines_of_fields(&buf);
            for number in lines.iter().flat_map(|line| line.split([' ', '─', '┄'])) {
                let is_number = number.starts_with(|c: char| c.is_ascii_digit());
                let known = whole.split([' ', '─', '┄', '\n']).any(|other| other == number);
                assert!(
                    !is_number || known || number.ends_with('…'),
                    "{name} at {width}: {number:?} in {lines:#?}"
                );
            }
            let (status, footer) = (&lines[0], &lines[1]);
            let most = ["training", "failed", "model"].iter().find(|state| whole.contains(**state));
            if let Some(state) =
                most.filter(|_| name != "the picker" && !name.contains("inspect") && width >= 16)
            {
                assert!(status.contains(state), "{name} at {width}: no {state:?} in {status:?}");
            }
            for (least, key) in
                [(6, "?"), (6, ":"), (6, "q"), (28, "? help"), (28, ": command"), (28, "q quit")]
            {
                assert!(width < least || footer.contains(key), "{name} at {width}: no {key:?} in {footer:?}");
            }
        }
    }
}

/// A stage of a training and warnings are in the status at the common widths.
#[test]
fn the_status_tells_the_stage_and_the_warnings() {
    let mut app =
        support::workbench(Depth::Plain, support::preset("flying-shapes-fast").at_first_stage(), 620, 1, 6);
    let shown = |app: &App, width| text(&render(app, width, 24)).lines().next().unwrap().to_owned();
    assert!(shown(&app, 120).contains("stage 1/7: 1 object, K 1"), "{}", shown(&app, 120));
    assert!(shown(&app, 80).contains("stage 1/7"), "{}", shown(&app, 80));
    app.workbench.as_mut().unwrap().preset.k = 2;
    app.workbench.as_mut().unwrap().preset.data = support::preset("quickstart").data;
    for width in [40, 80, 120] {
        assert!(shown(&app, width).contains(" warning"), "{}", shown(&app, width));
    }
    assert!(shown(&app, 80).contains("(h)"), "{}", shown(&app, 80));
}

/// On a large screen, pictures are as large as whole cells a pixel allow, and lie in the middle of what is left.
#[test]
fn pictures_take_the_room_there_is() {
    let preset = || support::preset("static-shapes-rnn-em");
    let area = Rect::new(0, 0, 200, 60);
    let training = support::workbench(Depth::True, preset(), 620, 4, 15);
    let mut small = preset();
    small.data = nem_tui::preset::Data::Tensors { channels: 1, height: 9, width: 9 };
    for (name, app, side, least) in [
        ("a training", training.clone(), 28, 28),
        ("the inspector", support::pressed(&training, "i"), 28, 56),
        ("the picker", support::picker(Depth::True), 20, 40),
        ("small images", support::workbench(Depth::True, small, 620, 4, 6), 9, 27),
    ] {
        let placed = view::render(&app, area, &mut Buffer::empty(area));
        let first = placed.first().unwrap().area;
        assert!(first.width >= least && first.width.is_multiple_of(side), "{name}: {first}");
        assert_eq!(first.height, first.width.div_ceil(2), "{name}: a pixel is as wide as high");
        let right = placed.iter().map(|picture| picture.area.right()).max().unwrap();
        assert!(right > 110, "{name}: pictures end at {right}");
    }
}

/// A click on a picture of the filmstrip chooses its EM step; the shown one is marked.
#[test]
fn the_filmstrip_shows_every_step_and_is_clicked() {
    use nem_tui::tui::view::{Target, target};
    for (width, height) in [(120, 40), (200, 60)] {
        let mut app = workbench(Depth::Plain);
        let area = Rect::new(0, 0, width, height);
        let shown = text(&render(&app, width, height));
        assert!(shown.contains("gamma over the EM steps") && shown.contains("6 ●"), "{shown}");
        for step in [2, 0, 5] {
            let at = area.positions().find(|at| target(&app, area, *at) == Some(Target::Step(step)));
            let at = at.unwrap_or_else(|| panic!("{width}x{height}: no picture of step {}", step + 1));
            let clicked = target(&app, area, at).unwrap();
            update(&mut app, Message::Click(clicked));
            let shown = text(&render(&app, width, height));
            assert!(shown.contains(&format!("{} ●", step + 1)), "{shown}");
            assert!(shown.contains(&format!("EM step {}/6", step + 1)), "{shown}");
        }
    }
}

/// Every component of many, and every object, is on some page of the inspector, also on small screens.
#[test]
fn the_inspector_shows_all_components_page_by_page() {
    use crossterm::event::{KeyCode, KeyEvent};
    for (width, height) in [(40, 12), (80, 24), (120, 40), (200, 60)] {
        let app = support::workbench(Depth::Plain, support::preset("quickstart"), 100, 10, 6);
        let mut app = support::pressed(&app, "i");
        let mut seen = String::new();
        let first = text(&render(&app, width, height));
        for page in 0..20 {
            let shown = text(&render(&app, width, height));
            assert!(
                page > 0 || height > 24 || shown.contains("more: pagedown"),
                "{width}x{height}:\n{shown}"
            );
            seen += &shown;
            update(&mut app, Message::Key(KeyEvent::from(KeyCode::PageDown)));
        }
        for k in 0..10 {
            let is_row = |line: &str| line.split(' ').next() == Some(&k.to_string());
            assert!(seen.lines().any(is_row), "{width}x{height}: no row {k} in\n{seen}");
            assert!(seen.contains(&format!("{k} 0.")), "{width}x{height}: no gamma {k} in\n{seen}");
        }
        for object in ["objects", "component", "1 1  ", "2 2  ", "3 3  "] {
            assert!(seen.contains(object), "{width}x{height}: no {object:?} in\n{seen}");
        }
        for _ in 0..20 {
            update(&mut app, Message::Key(KeyEvent::from(KeyCode::PageUp)));
        }
        assert_eq!(text(&render(&app, width, height)), first);
    }
}

/// Terminals that report tiny sizes, or that shrink before they are drawn on.
#[test]
fn a_terminal_that_lies_about_its_size_breaks_nothing() {
    use nem_tui::tui::view::target;
    let workbench = workbench(Depth::Sixteen);
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
        support::drawing(Depth::Plain),
        support::beside(Depth::True),
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
            // The terminal has shrunk since it was asked.
            for (more, further) in [(1, 0), (0, 1), (80, 24)] {
                let mut buf = Buffer::empty(area);
                view::render(app, Rect::new(0, 0, width + more, height + further), &mut buf);
            }
        }
    }
}

/// (state, keys, screen): a compared run that takes longer is not cut off on the axis of time.
#[test]
fn slow_runs_are_shown_to_their_end() {
    let mut app = workbench(Depth::Plain);
    let mut metrics = Metrics::default();
    for iteration in 1..=100 {
        let done = Iteration { iteration, loss: 500.0, seconds: 10.0, ..Iteration::default() };
        metrics.add(Record::Step(done));
    }
    let preset = support::preset("quickstart");
    let read = RunToCompare { directory: "runs/slow".into(), preset, seed: 2, metrics };
    let own = app.workbench.as_ref().unwrap().info.directory.clone();
    update(&mut app, Message::Compared(own, "runs/slow".into(), Box::new(read)));
    let end = |keys: &str| text(&render(&support::pressed(&app, keys), 120, 40)).contains("16:40");
    assert!(end("\txx") && !end("\tx") && !end("\t"));
    assert!(!end("\txx++"), "zoomed, only a part is shown");
}

/// On a narrow plot the end of the axis is kept, and its beginning does not run into it.
#[test]
fn the_ends_of_an_axis_do_not_touch() {
    let app = support::pressed(&workbench(Depth::Plain), "\tx");
    for width in 60..=160 {
        let shown = text(&render(&app, width, 24));
        let ends: Vec<&str> = shown.match_indices("epoch").map(|(at, _)| &shown[..at]).collect();
        let touched = ends.iter().any(|before| before.ends_with(|c: char| c.is_ascii_digit()));
        assert!(!touched && shown.contains("epoch 6.2"), "{width}: {shown}");
    }
}
