//! The table of runs.

use super::picker::{self, choose_listed};
use crate::tui::app::App;
use crate::tui::message::{Done, Effect};
use crate::tui::table::RunTable;

/// Shows the table of runs instead of the list.
pub fn open(app: &mut App) -> Done {
    app.picker.open_table();
    Ok(choose_listed(app))
}

/// Lists all runs again, or goes back to the list if all are listed.
pub fn back(app: &mut App) -> Done {
    if !app.picker.filter.is_empty() {
        return picker::clear_filter(app);
    }
    close(app)
}

/// Back to the list.
pub fn close(app: &mut App) -> Done {
    app.picker.table = None;
    Ok(choose_listed(app))
}

/// Takes in runs that have changed, if the table is open.
pub fn take_in(app: &mut App) -> Vec<Effect> {
    app.picker.read_table();
    if app.picker.table.is_some() && app.workbench.is_none() { choose_listed(app) } else { vec![] }
}

fn change(app: &mut App, change: impl FnMut(&mut RunTable)) -> Done {
    app.picker.table.as_mut().into_iter().for_each(change);
    Ok(vec![])
}

/// Sorts by the next or previous column.
pub fn sort(app: &mut App, by: i64) -> Done {
    change(app, |table| table.sort_by(by))
}

/// Reverses the order.
pub fn reverse(app: &mut App) -> Done {
    change(app, |table| table.reversed = !table.reversed)
}

/// Scrolls the columns.
pub fn scroll(app: &mut App, by: i64) -> Done {
    change(app, |table| {
        let most = table.columns().len().saturating_sub(2);
        table.skipped = table.skipped.saturating_add_signed(by as isize).min(most);
    })
}

/// Marks the chosen run for comparison, or no longer, and chooses the next one.
pub fn mark(app: &mut App) -> Done {
    let Some(run) = app.picker.selected_run().map(|run| run.directory.clone()) else { return Ok(vec![]) };
    change(app, |table| table.mark(&run))?;
    picker::step(app, 1)
}

/// Opens the chosen run without training it, with the curves of the marked ones beside its own.
pub fn compare(app: &mut App, keys: [String; 2]) -> Done {
    let [mark, open] = keys;
    let Some(run) = app.picker.selected_run().map(|run| run.directory.clone()) else { return Ok(vec![]) };
    let others = app.picker.table.iter().flat_map(|table| &table.marked);
    let others: Vec<_> = others.filter(|marked| **marked != run).cloned().collect();
    if others.is_empty() {
        return Err(format!("nothing is marked to compare it with; {mark} marks a run"));
    }
    let effects = picker::look(app, &open)?;
    app.comparing = others;
    Ok(effects)
}

#[cfg(test)]
mod tests;
