//! The pages in a real browser: Debian's chromium, headless, steered from here. What is looked at by people is kept in
//! `target/tmp/screenshots`.
//!
//! | module      | idea |
//! |-------------|------|
//! | `webdriver` | the protocol by which a browser is steered |
//! | `chromium`  | a browser: started, and told what to do |
//! | `turn`      | the one browser that all tests share, whose turn it is, and when there is a new one |
//! | `silent`    | a browser that stops answering |
//! | `looks`     | every page, wide and narrow, light and dark |
//! | `keyboard`  | every button and link without a mouse |
//! | `lives`     | numbers that follow, tables that are sorted, with scripts and without |
//! | `acts`      | buttons that ask, and then do |
//! | `hostile`   | text from outside that would like to be more than text |
//! | `log`       | filtered, searched, followed |
//! | `crowd`     | fifty services and five hundred methods |
//! | `zoom`      | a part of a chart, and the whole again |

mod acts;
mod chromium;
mod crowd;
mod hostile;
mod keyboard;
mod lives;
mod log;
mod looks;
mod silent;
mod turn;
mod webdriver;
mod zoom;
