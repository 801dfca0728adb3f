use super::*;
use crate::protocol::{Command, Event, Finish};
use crate::tui::app::Overlay;
use crate::tui::testing::{inspected, own, picture_of, press, sent, with_a_sample};
use crate::tui::update::{Message, update};

#[test]
fn another_size_is_a_question() {
    let mut app = with_a_sample();
    press(&mut app, ":open a.png↵");
    let image = own("/here/a.png", false, 1);
    let wrong = |input: &Input| Message::Run(Event::WrongSize { input: input.clone(), size: [640, 480] });
    update(&mut app, wrong(&own("/here/b.png", false, 1)));
    assert!(app.overlay.is_none(), "that is for somebody else");
    update(&mut app, wrong(&image));
    assert!(matches!(&app.overlay, Some(Overlay::Resize(of, [640, 480])) if *of == image));

    let mut yes = app.clone();
    let resized = own("/here/a.png", true, 2);
    assert_eq!(sent(&press(&mut yes, "y")), [Command::Input(Some(resized.clone()))]);
    update(&mut yes, picture_of(&resized, 6, vec![]));
    assert_eq!(inspected(&yes), Some((Some(resized.clone()), false)));
    // From the inspector, where answering no changes nothing.
    press(&mut yes, ":open a.png↵");
    update(&mut yes, wrong(&own("/here/a.png", false, 3)));
    let restated = [Command::Look(vec![]), Command::Input(Some(resized.clone()))];
    assert_eq!(sent(&press(&mut yes, "n")), restated);
    assert!(yes.overlay.is_none());
    assert_eq!(inspected(&yes), Some((Some(resized.clone()), false)));
    assert_eq!(yes.workbench.unwrap().input, Some(resized));

    let mut no = app.clone();
    assert_eq!(sent(&press(&mut no, "n")), [Command::Look(vec![]), Command::Watch(0)]);
    assert!(no.overlay.is_none());
    assert!(no.workbench.unwrap().input.is_none());

    // A command being typed is not lost.
    let mut typing = with_a_sample();
    press(&mut typing, ":open a.png↵:noi");
    update(&mut typing, wrong(&image));
    assert!(matches!(typing.overlay, Some(Overlay::Palette(_))));
    assert!(typing.message.is_some_and(|message| message.contains("640x480")));
    assert!(typing.workbench.unwrap().input.is_none());
}

#[test]
fn no_image_is_asked_of_a_run_that_has_ended() {
    for (key, sentence) in [("y", true), ("n", false)] {
        let mut app = with_a_sample();
        press(&mut app, ":open a.png↵");
        let wrong = Event::WrongSize { input: own("/here/a.png", false, 1), size: [640, 480] };
        update(&mut app, Message::Run(wrong));
        update(&mut app, Message::Run(Event::Finished(Finish::MaxEpochs)));
        assert!(press(&mut app, key).is_empty() && app.overlay.is_none());
        assert_eq!(app.message.is_some_and(|message| message.contains(":runs")), sentence);
    }
}
