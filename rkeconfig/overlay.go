package rkeconfig

// Overlay foresees what Rancher stores when a plain PUT sends data for a cluster whose config is stored. The body
// goes through rke's struct first, so that an empty value is lost or becomes the zero value, as the struct has it;
// then objects with named fields are merged key by key, so that what the body lacks stays, and maps with keys of the
// user's and lists are taken from the body whole (rancher v2.9.1 pkg/api/norman/store/cluster/cluster_store.go:1012-1158,
// norman v0.5.2 types/convert/merge/merge.go).
func Overlay(stored, data Document) Document {
	return Document{overlay(configShape(), stored.root, data.root)}
}

func overlay(s *shape, stored, data map[string]any) map[string]any {
	out := clone(stored).(map[string]any)
	for key := range stored {
		f := s.fields[key]
		if _, sent := data[key]; !sent && f.shape != nil && !f.omitEmpty && f.shape.kind != objectKind {
			delete(out, key) // absent in the body is zero in the struct
		}
	}
	for key, value := range data {
		f := s.fields[key]
		was, wasObject := out[key].(map[string]any)
		object, isObject := value.(map[string]any)
		switch {
		case f.shape == nil && s.isSchemaType(key, value):
		case isObject && wasObject && f.shape != nil && f.shape.kind == objectKind:
			out[key] = overlay(f.shape, was, object)
		case f.shape != nil && f.omitEmpty && isEmpty(f.shape, value):
		default:
			out[key] = clone(value)
		}
	}
	return out
}
