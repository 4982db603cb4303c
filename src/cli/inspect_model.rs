//! `ciyuan inspect` of a model: what it is, what its attention looks at, and how far back it learns.

use std::path::{Path, PathBuf};

use ciyuan::encode::Tokenizer;
use ciyuan::evaluate::{attention_to_html, gradient_by_distance};
use ciyuan::model::{AttentionHead, GptConfig};
use ciyuan::pipeline::AnyModel;
use ciyuan::shard::write_atomic;
use serde_json::{Value, json};

use super::context::Context;
use super::explain::readable;
use super::failure::{Failure, Outcome};
use super::model::load;
use super::table::render;

/// How many numbers of a query, key or value are shown.
const FIRST: usize = 4;

/// What is asked of a model.
#[derive(clap::Args)]
pub(super) struct LookArgs {
    /// Show what each attention head looks at in a text (of a folder with a GPT, made by `prepare` or `train`)
    #[arg(long, value_name = "TEXT", group = "looked", help_heading = "Of a model")]
    attention: Option<String>,
    /// Show one head as numbers, by layer and head from 0: queries, keys, values, scores and weights
    #[arg(long, value_name = "LAYER.HEAD", requires = "attention", help_heading = "Of a model")]
    head: Option<String>,
    /// Show how far back a model learns: the norm of the gradient of a text's last token by each token before it (of a folder with an RNN, an LSTM or a GPT, which sees no farther than its context)
    #[arg(long, value_name = "TEXT", group = "looked", help_heading = "Of a model")]
    reach: Option<String>,
    /// With --reach, more models to stand beside it, trained on the same tokens
    #[arg(long, value_name = "DIR", num_args = 1.., requires = "reach", help_heading = "Of a model")]
    beside: Vec<PathBuf>,
    /// Draw a picture as well: of --attention a page (HTML), of --reach a plot (SVG)
    #[arg(long, short, value_name = "FILE", requires = "looked", help_heading = "Of a model")]
    output: Option<PathBuf>,
}

/// Shows what is asked of the model in a folder, if anything is.
pub(super) fn run(folder: &Path, args: &LookArgs, context: &Context) -> Option<Outcome> {
    match (&args.attention, &args.reach) {
        (Some(text), _) => Some(attention(folder, text, args, context)),
        (None, Some(text)) => Some(reach(folder, text, args, context)),
        (None, None) => None,
    }
}

/// What the model in a folder is, by name.
pub(super) fn facts(folder: &Path) -> Outcome<Vec<(&'static str, Value)>> {
    let (model, tokenizer) = load(folder)?;
    let measured = model.language_model();
    let mut facts = vec![
        ("model", json!(measured.name())),
        ("parameters", json!(measured.parameters())),
        ("vocab_size", json!(measured.vocab_size())),
    ];
    match &model {
        AnyModel::Gpt(gpt) => {
            let GptConfig { context, layers, heads, width, form, .. } = gpt.config();
            facts.extend(
                [("context", context), ("layers", layers), ("heads", heads), ("width", width)]
                    .map(|(n, v)| (n, json!(v))),
            );
            facts.push(("form", json!(form)));
        }
        AnyModel::Recurrent(model) => facts.push(("width", json!(model.config().width))),
        AnyModel::Unigram(_) | AnyModel::NGram(_) => {}
    }
    facts.push(("tokenizer", json!(tokenizer.fingerprint())));
    Ok(facts)
}

/// The ids of a text as `sample` reads a prompt: behind the end-of-text token, where a document begins.
fn ids_of(tokenizer: &Tokenizer, text: &str) -> Outcome<Vec<u32>> {
    let end = tokenizer.spec().special().end_of_text();
    Ok(end.into_iter().chain(tokenizer.encode(text)?).collect())
}

/// A token for the eye: its text, with the white space made visible; what is no text in hexadecimal.
fn label(tokenizer: &Tokenizer, id: u32) -> String {
    let bytes = tokenizer.token_bytes(id).unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() => text.replace(' ', "␣").replace('\n', "⏎").replace('\t', "⇥"),
        _ => readable(bytes),
    }
}

fn attention(folder: &Path, text: &str, args: &LookArgs, context: &Context) -> Outcome {
    let (model, tokenizer) = load(folder)?;
    let AnyModel::Gpt(gpt) = &model else {
        let name = model.language_model().name();
        return Err(Failure::Usage(format!("the model is an {name}, which has no attention; a GPT has")));
    };
    let ids = ids_of(&tokenizer, text)?;
    let layers = gpt.look(&ids)?;
    let tokens: Vec<String> = ids.iter().map(|&id| label(&tokenizer, id)).collect();
    if let Some(path) = &args.output {
        write_atomic(path, attention_to_html(&tokens, &layers).as_bytes())?;
        context.note(&format!("wrote {}", path.display()));
    }
    match &args.head {
        Some(place) => one_head(place, &tokens, &layers, context),
        None => all_heads(&tokens, &layers, context),
    }
}

fn all_heads(tokens: &[String], layers: &[Vec<AttentionHead>], context: &Context) -> Outcome {
    let places =
        || layers.iter().enumerate().flat_map(|(l, heads)| heads.iter().enumerate().map(move |(h, head)| (l, h, head)));
    let object = |(layer, number, head): (usize, usize, &AttentionHead)| {
        let strongest = head.strongest().map(|(from, to, weight)| json!({"from": from, "to": to, "weight": weight}));
        let rows: Vec<&[f64]> = (0..head.tokens).map(|token| head.row(token)).collect();
        json!({
            "layer": layer, "head": number, "distance": head.distance(), "entropy": head.entropy(),
            "strongest": strongest, "weights": rows,
        })
    };
    let value = || json!({"tokens": tokens, "heads": places().map(object).collect::<Vec<Value>>()});
    context.show(&value(), || {
        let head = ["head", "tokens back", "entropy", "weight", "strongest link"].map(str::to_owned).to_vec();
        let row =
            |(layer, number, head): (usize, usize, &AttentionHead)| {
                let mut cells = vec![format!("{layer}.{number}")];
                cells.extend([format!("{:.2}", head.distance()), format!("{:.2}", head.entropy())]);
                cells.extend(head.strongest().into_iter().flat_map(|(from, to, weight)| {
                    [format!("{weight:.2}"), format!("{} → {}", tokens[from], tokens[to])]
                }));
                cells
            };
        render(&[head].into_iter().chain(places().map(row)).collect::<Vec<_>>())
    })
}

fn one_head(place: &str, tokens: &[String], layers: &[Vec<AttentionHead>], context: &Context) -> Outcome {
    let parsed = place.split_once('.').and_then(|(layer, head)| Some((layer.parse().ok()?, head.parse().ok()?)));
    let found = parsed.and_then(|(layer, head): (usize, usize)| layers.get(layer)?.get(head));
    let head = found.ok_or_else(|| {
        let (last, heads) = (layers.len() - 1, layers[0].len() - 1);
        Failure::Usage(format!("`{place}` is no head of this model; they go from 0.0 to {last}.{heads}"))
    })?;
    let rows = |of: &[f64]| -> Vec<Vec<f64>> { of.chunks(head.width).map(<[f64]>::to_vec).collect() };
    let square = |of: &[f64]| -> Vec<Vec<f64>> {
        of.chunks(head.tokens).enumerate().map(|(token, row)| row[..=token].to_vec()).collect()
    };
    let [queries, keys, values] = [&head.queries, &head.keys, &head.values].map(|of| rows(of));
    let [scores, weights] = [&head.scores, &head.weights].map(|of| square(of));
    let value = json!({
        "tokens": tokens, "width": head.width, "queries": &queries, "keys": &keys, "values": &values,
        "scores": &scores, "weights": &weights,
    });
    context.show(&value, || {
        let numbers = |row: &[f64]| row.iter().map(|number| format!("{number:.2}")).collect::<Vec<_>>();
        let some = |rows: &[Vec<f64>], token: usize| {
            numbers(&rows[token][..FIRST.min(head.width)]).iter().map(|number| format!("{number:>6}")).collect::<String>()
        };
        let first = |token: usize| {
            vec![tokens[token].clone(), some(&queries, token), some(&keys, token), some(&values, token)]
        };
        let table = |head: Vec<String>, row: &dyn Fn(usize) -> Vec<String>| {
            render(&[head].into_iter().chain((0..tokens.len()).map(row)).collect::<Vec<_>>())
        };
        let columns: Vec<String> = [String::new()].into_iter().chain(tokens.iter().cloned()).collect();
        let row_of = |square: &[Vec<f64>], token: usize| {
            [tokens[token].clone()].into_iter().chain(numbers(&square[token])).collect::<Vec<_>>()
        };
        format!(
            "queries, keys and values, the first {} of {} numbers\n{}\nscores: query · key / √{}\n{}\nweights: softmax of each row of scores\n{}",
            FIRST.min(head.width),
            head.width,
            table(["", "query", "key", "value"].map(str::to_owned).to_vec(), &first),
            head.width,
            table(columns.clone(), &|token| row_of(&scores, token)),
            table(columns.clone(), &|token| row_of(&weights, token)),
        )
    })
}

fn reach(folder: &Path, text: &str, args: &LookArgs, context: &Context) -> Outcome {
    let mut models: Vec<(String, Vec<f64>)> = Vec::new();
    let mut own = None;
    for folder in [folder].into_iter().chain(args.beside.iter().map(PathBuf::as_path)) {
        let (model, tokenizer) = load(folder)?;
        if *own.get_or_insert(tokenizer.fingerprint()) != tokenizer.fingerprint() {
            let text = format!("the model in `{}` reads other tokens than the first one", folder.display());
            return Err(Failure::Usage(text));
        }
        let ids = ids_of(&tokenizer, text)?;
        if ids.len() < 2 {
            return Err(Failure::Usage("the text must have two tokens or more".to_owned()));
        }
        let norms = match &model {
            // No more than its context and the token behind it: farther back it sees nothing.
            AnyModel::Gpt(gpt) => {
                gpt.gradient_by_distance(&ids[ids.len().saturating_sub(gpt.config().context + 1)..])?
            }
            AnyModel::Recurrent(network) => network.gradient_by_distance(&ids),
            AnyModel::Unigram(_) | AnyModel::NGram(_) => Vec::new(),
        };
        models.push((model.language_model().name().to_owned(), norms));
    }
    if let Some(path) = &args.output {
        write_atomic(path, gradient_by_distance(&models).as_bytes())?;
        context.note(&format!("wrote {}", path.display()));
    }
    let object = |(name, norms): &(String, Vec<f64>)| json!({"model": name, "gradient_by_distance": norms});
    context.show(&json!({"models": models.iter().map(object).collect::<Vec<_>>()}), || {
        let longest = models.iter().map(|(_, norms)| norms.len()).max().unwrap_or(0);
        let head = ["tokens back".to_owned()].into_iter().chain(models.iter().map(|(name, _)| name.clone())).collect();
        let row = |distance: usize| {
            let norm = |(_, norms): &(String, Vec<f64>)| {
                norms.get(distance - 1).map_or_else(String::new, |norm| format!("{norm:.1e}"))
            };
            [distance.to_string()].into_iter().chain(models.iter().map(norm)).collect()
        };
        render(&[head].into_iter().chain(distances(longest).into_iter().map(row)).collect::<Vec<_>>())
    })
}

/// The distances that a table shows: powers of two, and the last.
fn distances(last: usize) -> Vec<usize> {
    let powers = std::iter::successors(Some(1), |distance| Some(2 * distance));
    powers.take_while(|distance| *distance < last).chain((last > 0).then_some(last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_and_the_last() {
        assert_eq!(distances(0), [0; 0]);
        assert_eq!(distances(1), [1]);
        assert_eq!(distances(8), [1, 2, 4, 8]);
        assert_eq!(distances(9), [1, 2, 4, 8, 9]);
    }
}
