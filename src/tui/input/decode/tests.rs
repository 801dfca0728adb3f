use proptest::prelude::*;

use super::*;

/// What these reads bring, each given up on before the next.
fn decoded(reads: &[&[u8]], given_up: bool) -> Vec<TerminalEvent> {
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    for read in reads {
        decoder.read(read, &mut events);
        if given_up {
            decoder.give_up(&mut events);
        }
    }
    events
}

fn key(code: KeyCode) -> TerminalEvent {
    pressed(code, KeyModifiers::NONE)
}

fn keys(text: &str) -> Vec<TerminalEvent> {
    text.chars().map(|letter| typed(letter, KeyModifiers::NONE)).collect()
}

fn paste(text: &str) -> TerminalEvent {
    TerminalEvent::Paste(text.into())
}

/// Every event and the bytes that a terminal sends for it.
fn known() -> Vec<(&'static [u8], TerminalEvent)> {
    let with = |code, modifiers| pressed(code, modifiers);
    let (shift, alt, control) = (KeyModifiers::SHIFT, KeyModifiers::ALT, KeyModifiers::CONTROL);
    let at = |kind, column, row, modifiers| TerminalEvent::Mouse(MouseEvent { kind, column, row, modifiers });
    let (none, left) = (KeyModifiers::NONE, MouseButton::Left);
    vec![
        (b"k", key(KeyCode::Char('k'))),
        (b"K", with(KeyCode::Char('K'), shift)),
        ("é".as_bytes(), key(KeyCode::Char('é'))),
        ("漢".as_bytes(), key(KeyCode::Char('漢'))),
        (b"\r", key(KeyCode::Enter)),
        (b"\t", key(KeyCode::Tab)),
        (b"\x7f", key(KeyCode::Backspace)),
        (b"\x03", with(KeyCode::Char('c'), control)),
        (b"\x0c", with(KeyCode::Char('l'), control)),
        (b"\n", with(KeyCode::Char('j'), control)),
        (b"\0", with(KeyCode::Char(' '), control)),
        (b"\x1c", with(KeyCode::Char('4'), control)),
        (b"\x1bx", with(KeyCode::Char('x'), alt)),
        ("\x1bé".as_bytes(), with(KeyCode::Char('é'), alt)),
        (b"\x1b\r", with(KeyCode::Enter, alt)),
        (b"\x1b[A", key(KeyCode::Up)),
        (b"\x1bOD", key(KeyCode::Left)),
        (b"\x1bOP", key(KeyCode::F(1))),
        (b"\x1b[[E", key(KeyCode::F(5))),
        (b"\x1b[15~", key(KeyCode::F(5))),
        (b"\x1b[24~", key(KeyCode::F(12))),
        (b"\x1b[3~", key(KeyCode::Delete)),
        (b"\x1b[6;5~", with(KeyCode::PageDown, control)),
        (b"\x1b[1;2D", with(KeyCode::Left, shift)),
        (b"\x1b[1;7R", with(KeyCode::F(3), alt | control)),
        (b"\x1b[5C", with(KeyCode::Right, control)),
        (b"\x1b[Z", with(KeyCode::BackTab, shift)),
        (b"\x1b[27u", key(KeyCode::Esc)),
        (b"\x1b[112;5u", with(KeyCode::Char('p'), control)),
        (b"\x1b[<0;5;3M", at(MouseEventKind::Down(left), 4, 2, none)),
        (b"\x1b[<0;5;3m", at(MouseEventKind::Up(left), 4, 2, none)),
        (b"\x1b[<80;300;1M", at(MouseEventKind::ScrollUp, 299, 0, control)),
        (b"\x1b[97;60;10M", at(MouseEventKind::ScrollDown, 59, 9, none)),
        (b"\x1b[M `!", at(MouseEventKind::Down(left), 63, 0, none)),
        (b"\x1b[200~kK lL\x1b[201~", paste("kK lL")),
        (b"\x1b[200~a\r\x1b[A\x03\xff\x1b\x1b[201~", paste("a\r\x1b[A\x03\u{fffd}\x1b")),
        (b"\x1b_Gi=31;OK\x1b\\", TerminalEvent::Answer(Answer::Kitty)),
        (b"\x1b[?62;4;22c", TerminalEvent::Answer(Answer::Sixel)),
        (b"\x1b[6;16;8t", TerminalEvent::Answer(Answer::Cell { width: 8, height: 16 })),
        (b"\x1b[0n", TerminalEvent::Answer(Answer::Status)),
    ]
}

/// Whole, a byte at a time, and one after another.
#[test]
fn every_event_may_come_in_pieces() {
    let mut all = Vec::new();
    for (bytes, event) in known() {
        assert_eq!(decoded(&[bytes], false), std::slice::from_ref(&event), "{}", bytes.escape_ascii());
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        // A control byte alone in a read ends a paste; in the middle of one, more of it is in the read.
        if !bytes.contains(&CONTROL_C) || bytes.len() == 1 {
            assert_eq!(decoded(&single, false), [event], "{}", bytes.escape_ascii());
        }
        all.extend_from_slice(bytes);
    }
    let events: Vec<TerminalEvent> = known().into_iter().map(|(_, event)| event).collect();
    assert_eq!(decoded(&[&all], false), events);
}

/// What reads bring when the rest of a sequence comes late or never.
#[test]
fn what_is_never_finished_holds_nothing_up() {
    let alt = |letter| typed(letter, KeyModifiers::ALT);
    let cases: &[(&[&[u8]], Vec<TerminalEvent>)] = &[
        (&[b"\x1b"], vec![key(KeyCode::Esc)]),
        (&[b"\x1b", b"k"], vec![key(KeyCode::Esc), keys("k").remove(0)]),
        (&[b"\x1b\x1b"], vec![key(KeyCode::Esc), key(KeyCode::Esc)]),
        // Reported as Esc, but the rest is not two keys.
        (&[b"\x1b", b"[A"], vec![key(KeyCode::Esc), key(KeyCode::Up)]),
        (&[b"\x1b", b"[1;5C"], vec![key(KeyCode::Esc), pressed(KeyCode::Right, KeyModifiers::CONTROL)]),
        (&[b"\x1b", b"[200~kK lL\x1b[201~"], vec![key(KeyCode::Esc), paste("kK lL")]),
        (&[b"\x1b", b"[", b"A"], [vec![key(KeyCode::Esc)], keys("[A")].concat()),
        (&[b"\x1b", b"[["], [vec![key(KeyCode::Esc)], keys("[[")].concat()),
        (&[b"\x1b["], vec![alt('[')]),
        (&[b"\x1bO"], vec![alt('O')]),
        (&[b"\x1b_", b"k"], [vec![alt('_')], keys("k")].concat()),
        (&[b"\x1b[1;", b"k"], keys("k")),
        (&[b"\xe6\xbc", b"k"], keys("k")),
        (&[b"\x1b_Gi=31", b"k"], keys("k")),
        (&[b"\x1b[200~kK", b"k"], [vec![paste("kK")], keys("k")].concat()),
    ];
    for (reads, events) in cases {
        assert_eq!(decoded(reads, true), *events, "{reads:?}");
    }
}

/// Ctrl-C is recognised anywhere, and garbage is not keys.
#[test]
fn garbage_is_dropped_and_control_c_is_not() {
    let stop = pressed(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for begun in ["", "\x1b[12", "\x1b_Gi=", "\x1bP1", "\x1bO", "\x1b[[", "\x1b[200~abc"] {
        let events = decoded(&[begun.as_bytes(), &[CONTROL_C]], false);
        assert_eq!(events.last(), Some(&stop), "{begun:?}");
    }
    for garbage in [
        "\x1b[?2026;2$y",
        "\x1b[24;80R",
        "\x1b[99999999999A",
        "\x1b[1;5:3A",
        "\x1b[201~",
        "\x1b]11;rgb:1e1e/1e1e/1e1e\x07",
        "\x1b]52;c;a0sga0w=\x1b\\",
        "\x1bP1+r524742=38\x1b\\",
        "\x1b_Gi=31;ENOTSUPPORTED:kK lL\x1b\\",
        "\x1b[I\x1b[O",
        "\x1b[?1;2c",
        "\x1b[7$",
    ] {
        assert_eq!(decoded(&[garbage.as_bytes(), b"k"], false), keys("k"), "{garbage:?}");
    }
    let mut decoder = Decoder::default();
    let endless = [b"\x1b[200~".to_vec(), vec![b'k'; 3 * LONGEST_PASTE]].concat();
    let mut events = Vec::new();
    decoder.read(&endless, &mut events);
    decoder.read(&[b'k'; 9], &mut events);
    assert!(
        events.is_empty()
            && decoder.held.len() == LONGEST_PASTE
            && decoder.held.capacity() <= 2 * LONGEST_PASTE
    );
    decoder.read(PASTE_END, &mut events);
    assert_eq!(events, [paste(&"k".repeat(LONGEST_PASTE))]);
}

proptest! {
    /// No bytes make it panic or hold more and more, and it is soon ready for keys again.
    #[test]
    fn any_bytes_are_survived(
        reads in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                proptest::sample::select(known()).prop_map(|(bytes, _)| bytes.to_vec()),
                proptest::sample::select(known()).prop_map(|(bytes, _)| bytes[..bytes.len() / 2].to_vec()),
            ],
            0..20,
        ),
    ) {
        let (mut decoder, mut events) = (Decoder::default(), Vec::new());
        for read in &reads {
            decoder.read(read, &mut events);
            if decoder.patience().is_none() {
                prop_assert_eq!(decoder.state, State::Ground);
            }
        }
        decoder.give_up(&mut events);
        decoder.give_up(&mut events);
        events.clear();
        decoder.read(b"k", &mut events);
        prop_assert_eq!(events, keys("k"));
    }
}
