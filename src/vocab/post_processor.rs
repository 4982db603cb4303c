//! Post-processors of `tokenizer.json`: the tokens that a model expects around the ids of a text.
//!
//! Reference: the folder `processors` of Hugging Face's `tokenizers`. `ByteLevel` changes offsets alone, and is passed
//! over where it stands by itself.

use serde_json::Value;

use super::tokenizer_json::unsupported;
use super::{MAX_ID, TokenId};
use crate::error::Result;

/// What stands around the ids of a text. Templates for pairs of texts are kept, and written again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostProcessor {
    /// As it stands in the file.
    pub(super) source: Value,
    before: Vec<TokenId>,
    after: Vec<TokenId>,
}

impl PostProcessor {
    /// The ids before those of a text.
    #[must_use]
    pub fn before(&self) -> &[TokenId] {
        &self.before
    }

    /// The ids behind them.
    #[must_use]
    pub fn after(&self) -> &[TokenId] {
        &self.after
    }

    /// All ids that it names, for pairs of texts too.
    pub(super) fn ids(&self) -> Vec<TokenId> {
        let mut ids = Vec::new();
        for_each_id(&mut self.source.clone(), &mut |place| ids.extend(read_id(place)));
        ids
    }

    /// The same with the ids that `new_id` gives for those it names.
    pub(super) fn renumbered(&self, new_id: impl Fn(TokenId) -> Option<TokenId>) -> Result<Self> {
        let mut source = self.source.clone();
        let mut all_known = true;
        for_each_id(&mut source, &mut |place| match read_id(place).and_then(&new_id) {
            Some(id) => *place = id.into(),
            None => all_known = false,
        });
        if !all_known {
            return Err(unsupported("post_processor", &self.source, "it names an id without a token"));
        }
        let renumber = |ids: &[TokenId]| ids.iter().filter_map(|id| new_id(*id)).collect();
        Ok(Self { source, before: renumber(&self.before), after: renumber(&self.after) })
    }
}

/// The places of ids in a post-processor.
fn for_each_id(step: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
    let steps = step.get_mut("processors").and_then(Value::as_array_mut);
    steps.into_iter().flatten().for_each(|step| for_each_id(step, visit));
    for name in ["cls", "sep"] {
        step.get_mut(name).and_then(|pair| pair.get_mut(1)).into_iter().for_each(&mut *visit);
    }
    let tokens = step.get_mut("special_tokens").and_then(Value::as_object_mut);
    for token in tokens.into_iter().flat_map(|tokens| tokens.values_mut()) {
        let ids = token.get_mut("ids").and_then(Value::as_array_mut);
        ids.into_iter().flatten().for_each(&mut *visit);
    }
}

/// The post-processor of a file, if it has one that changes ids; `is_token` says whether an id is one.
pub(super) fn read_post_processor(found: &Value, is_token: impl Fn(TokenId) -> bool) -> Result<Option<PostProcessor>> {
    let steps = match found["type"].as_str() {
        _ if found.is_null() => return Ok(None),
        Some("Sequence") => found["processors"].as_array().map(Vec::as_slice).unwrap_or_default(),
        _ => std::slice::from_ref(found),
    };
    let mut all = None;
    for step in steps.iter().filter(|step| step["type"] != "ByteLevel") {
        let (before, after) = around(step)?;
        if !before.iter().chain(&after).all(|id| is_token(*id)) {
            return Err(unsupported("post_processor", step, "it names an id without a token"));
        }
        if all.replace(PostProcessor { source: found.clone(), before, after }).is_some() {
            return Err(unsupported("post_processor", found, "one step may add tokens, not two"));
        }
    }
    Ok(all)
}

/// The most ids on a side of a text: a template may name the same token, which may be many ids, again and again.
const MAX_IDS: usize = 1024;

/// The ids before and behind those of a text.
fn around(step: &Value) -> Result<(Vec<TokenId>, Vec<TokenId>)> {
    let refuse = |why| unsupported("post_processor", step, why);
    match step["type"].as_str() {
        Some("BertProcessing" | "RobertaProcessing") => {
            let id =
                |name: &str| read_id(&step[name][1]).ok_or_else(|| refuse("it needs `cls` and `sep` with their ids"));
            Ok((vec![id("cls")?], vec![id("sep")?]))
        }
        Some("TemplateProcessing") => around_template(step).ok_or_else(|| {
            refuse(
                "its `single` must hold the text, `A`, once, and up to 1,024 tokens on each side that `special_tokens` has",
            )
        }),
        _ => Err(refuse(
            "known are ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing and Sequence of these",
        )),
    }
}

fn around_template(step: &Value) -> Option<(Vec<TokenId>, Vec<TokenId>)> {
    let (mut before, mut after, mut texts) = (Vec::new(), Vec::new(), 0);
    for piece in step["single"].as_array()? {
        if let Some(name) = piece["SpecialToken"]["id"].as_str() {
            let ids = step["special_tokens"][name]["ids"].as_array()?;
            let ids = ids.iter().map(read_id).collect::<Option<Vec<TokenId>>>()?;
            let side = if texts == 0 { &mut before } else { &mut after };
            side.extend(ids);
            if side.len() > MAX_IDS {
                return None;
            }
        } else if piece["Sequence"]["id"] == "A" {
            texts += 1;
        } else {
            return None;
        }
    }
    (texts == 1).then_some((before, after))
}

fn read_id(value: &Value) -> Option<TokenId> {
    TokenId::try_from(value.as_u64()?).ok().filter(|id| *id <= MAX_ID)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(single: Value) -> Value {
        json!({"type": "TemplateProcessing", "single": single, "pair": [],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1, 3], "tokens": ["<s>", "x"]}}})
    }

    #[test]
    fn tokens_around_a_text() {
        let read = |found: &Value| read_post_processor(found, |id| id < 10).unwrap();
        let mark = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
        let text = json!({"Sequence": {"id": "A", "type_id": 0}});
        let found =
            json!({"type": "Sequence", "processors": [{"type": "ByteLevel"}, template(json!([mark, text, mark]))]});
        let processor = read(&found).unwrap();
        assert_eq!((processor.before(), processor.after()), (&[1, 3][..], &[1, 3][..]));
        let roberta = read(&json!({"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]})).unwrap();
        assert_eq!((roberta.before(), roberta.after()), (&[0][..], &[2][..]));
        assert_eq!(read(&json!({"type": "ByteLevel"})), None);
        assert_eq!(read(&Value::Null), None);
    }

    #[test]
    fn what_is_refused() {
        let refused = |found: Value| read_post_processor(&found, |id| id < 3).unwrap_err().to_string();
        let text = json!({"Sequence": {"id": "A", "type_id": 0}});
        assert!(refused(template(json!([text, text]))).contains("once"));
        assert!(refused(template(json!([{"Sequence": {"id": "B", "type_id": 0}}]))).contains("once"));
        assert!(
            refused(template(json!([{"SpecialToken": {"id": "?", "type_id": 0}}, text]))).contains("special_tokens")
        );
        assert!(refused(template(json!([{"SpecialToken": {"id": "<s>"}}, text]))).contains("id without a token"));
        assert!(refused(json!({"type": "BertProcessing"})).contains("cls"));
        assert!(refused(json!({"type": "Other"})).contains("post_processor `Other`"));
        let two = json!({"type": "Sequence", "processors": [template(json!([text])), template(json!([text]))]});
        assert!(refused(two).contains("not two"));
    }
}
