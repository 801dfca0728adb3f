//! No size and no state breaks a screen.

use std::sync::Arc;

use crossterm::event::KeyCode;
use nem_tui::protocol::{Command, Event};
use nem_tui::snapshot::Snapshot;
use nem_tui::tui::app::App;
use nem_tui::tui::theme::Depth;
use nem_tui::tui::update::{Effect, Message, update};
use proptest::prelude::*;
use ratatui::layout::Rect;

use super::{render, support};

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

/// The run on the screen beside itself.
fn beside_itself(app: &App) -> App {
    let mut app = support::pressed(app, ":beside x");
    update(&mut app, Message::Key(KeyCode::Enter.into()));
    let workbench = app.workbench.as_ref().unwrap();
    let (info, shown) = (workbench.info.clone(), workbench.snapshot.clone().unwrap());
    let beside = |message| Message::Beside(Box::new(message));
    let effects = update(&mut app, beside(Message::Run(Event::Started(Box::new(info)))));
    let Some(Effect::SendBeside(Command::Input(input))) = effects.into_iter().next() else {
        panic!("it was asked for nothing");
    };
    update(&mut app, beside(Message::Picture(Arc::new(Snapshot { input, ..(*shown).clone() }))));
    app
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// Nor does it what lies over the workbench: images of any shape, and pictures that are damaged.
    #[test]
    fn no_size_breaks_what_is_over_the_workbench(
        width in 1u16..220,
        height in 1u16..70,
        k in 1usize..65,
        steps in 1usize..40,
        rows in 1usize..65,
        columns in 1usize..65,
        damaged in any::<bool>(),
        plain in any::<bool>(),
    ) {
        let mut preset = support::preset("quickstart");
        preset.data = nem_tui::preset::Data::Tensors { channels: 1, height: rows, width: columns };
        let depth = if plain { Depth::Plain } else { Depth::True };
        let mut app = support::workbench(depth, preset, 60, k, steps);
        let workbench = app.workbench.as_mut().unwrap();
        if damaged {
            let mut snapshot = (**workbench.snapshot.as_ref().unwrap()).clone();
            snapshot.steps[0].gamma.fill(f32::NAN);
            snapshot.steps[0].preds.truncate(3);
            workbench.snapshot = Some(Arc::new(snapshot));
        }
        render(&beside_itself(&app), width, height);
        for keys in ["i", "id", "idp", "?", "h", "r", "q", "!", ":", ":set "] {
            let mut app = support::pressed(&app, keys);
            render(&app, width, height);
            update(&mut app, Message::Key(KeyCode::PageDown.into()));
            render(&app, width, height);
        }
    }
}
