//! QR codes as small drawings.

use std::fmt::Write as _;

use fast_qr::QRBuilder;

/// How many modules of nothing the standard wants around a code.
const QUIET: usize = 4;

/// The code of `url` as SVG, or nothing where it is too long for one. Each run of dark modules is
/// one stroke, which takes a fifth of what a square for each would.
pub(crate) fn svg(url: &str) -> String {
    let Ok(code) = QRBuilder::new(url).build() else {
        return String::new();
    };
    let side = code.size + 2 * QUIET;
    // Writing to a text does not fail.
    let mut path = String::new();
    for row in 0..code.size {
        let _ = write!(path, "M{QUIET} {}.5", row + QUIET);
        let mut column = 0;
        while column < code.size {
            let is_dark = code[row][column].value();
            let run = code[row][column..]
                .iter()
                .take_while(|module| module.value() == is_dark)
                .count();
            let _ = if is_dark {
                write!(path, "h{run}")
            } else {
                write!(path, "m{run} 0")
            };
            column += run;
        }
    }
    format!(
        "<svg viewBox=\"0 0 {side} {side}\" width=\"160\" height=\"160\" role=\"img\" \
         aria-label=\"QR code of the install page's address\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path stroke=\"#000\" d=\"{path}\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_the_dark_modules_of_its_matrix() {
        let svg = svg("https://get.example.org/install/acme/beta");
        let code = QRBuilder::new("https://get.example.org/install/acme/beta").build();
        let dark = code.map(|code| {
            (0..code.size)
                .flat_map(|row| code[row].to_vec())
                .filter(|module| module.value())
                .count()
        });
        let drawn: usize = svg
            .split('h')
            .filter_map(|run| run.split(['M', 'm', '"']).next()?.parse::<usize>().ok())
            .sum();
        assert_eq!(dark.ok(), Some(drawn));
        assert!(svg.len() < 3000, "{}", svg.len());
    }

    #[test]
    fn what_is_too_long_has_no_code() {
        assert_eq!(svg(&"x".repeat(10_000)), "");
    }
}
