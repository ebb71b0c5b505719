package clusterfile

import (
	"maps"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// repairArgs turns extra_args, where it is the list of maps that a well-known
// article shows, into a map: the dashes, or the inner brackets, go. Without such a
// list the file itself is returned. A list of anything else is left to Merge.
func (f *File) repairArgs() (*File, error) {
	kubelet := resolve(member(resolve(member(resolve(f.config), "services")), "kubelet"))
	list := resolve(member(kubelet, f.spell("extra_args")))
	if list == nil || list.Kind != yaml.SequenceNode {
		return f, nil
	}
	seen := map[string]int{}
	for _, item := range list.Content {
		if m := resolve(item); m.Kind != yaml.MappingNode || len(m.Content) == 0 {
			return f, nil
		}
		for _, key := range keysOf(resolve(item)) {
			if first, twice := seen[key.Value]; twice {
				return nil, refuse(key.Line, "keep one of them, as extra_args is to be a map", "an argument stands in the list for the second time, first on line %d", first)
			}
			seen[key.Value] = key.Line
		}
	}
	if err := f.checkOwned(); err != nil {
		return nil, err
	}
	var edits []edit
	var err error
	if list.Style&yaml.FlowStyle != 0 {
		edits, err = f.repairFlow(list)
	} else {
		edits, err = f.repairBlock(list)
	}
	if err != nil {
		return nil, err
	}
	repaired, err := f.apply(edits)
	if err != nil {
		return nil, err
	}
	return repaired, f.checkRepair(repaired, list)
}

// checkRepair reads both texts: the map must say what the list says.
func (f *File) checkRepair(repaired *File, list *yaml.Node) error {
	path := []string{"services", "kubelet", "extra_args"}
	old, _, errOld := f.lookup(path)
	made, _, errMade := repaired.lookup(path)
	if errOld != nil || errMade != nil {
		return unusualList(list)
	}
	var parts []map[string]any
	var whole map[string]any
	if old.decode(&parts) != nil || made.decode(&whole) != nil {
		return unusualList(list)
	}
	want := map[string]any{}
	for _, part := range parts {
		maps.Copy(want, part)
	}
	if !reflect.DeepEqual(want, whole) {
		return unusualList(list)
	}
	return nil
}

func unusualList(n *yaml.Node) error {
	return refuse(n.Line, "write extra_args as a map by hand: name: value lines, without dashes", "extra_args is a list, which rke refuses and Rancher drops, and is written in a way that this program does not turn into a map")
}

func (f *File) repairFlow(list *yaml.Node) ([]edit, error) {
	s := f.spans[list]
	edits := []edit{{s.content, s.content + 1, "{"}, {s.end - 1, s.end, "}"}}
	for _, item := range list.Content {
		if item.Kind != yaml.MappingNode || item.Anchor != "" || item.Style&yaml.TaggedStyle != 0 {
			return nil, unusualList(item)
		}
		s := f.spans[item]
		if f.src[s.content] != '{' {
			continue // a pair that has no brackets of its own
		}
		last := f.spans[item.Content[len(item.Content)-1]].end
		if strings.Contains(f.src[last:s.end], "#") {
			return nil, unusualList(item)
		}
		edits = append(edits, edit{s.content, s.content + 1, ""}, edit{last, s.end, ""})
	}
	return edits, nil
}

func (f *File) repairBlock(list *yaml.Node) ([]edit, error) {
	if list.Anchor != "" || list.Style&yaml.TaggedStyle != 0 {
		return nil, unusualList(list)
	}
	var edits []edit
	column := 0
	for _, item := range list.Content {
		s := f.spans[item]
		line := f.src[strings.LastIndexByte(f.src[:s.start], '\n')+1 : s.start]
		dash := strings.TrimRight(line, " ")
		if item.Kind != yaml.MappingNode || item.Anchor != "" || strings.TrimLeft(dash, " ") != "-" || column != 0 && item.Column != column {
			return nil, unusualList(item)
		}
		column = item.Column
		at := s.start - len(line) + len(dash) - 1
		edits = append(edits, edit{at, at + 1, " "})
		if item.Style&yaml.FlowStyle == 0 {
			continue
		}
		if len(item.Content) != 2 || strings.Contains(f.src[s.start:s.end], "\n") {
			return nil, unusualList(item)
		}
		// The name moves to where the bracket was.
		inner := f.src[s.start+1 : s.end-1]
		text := strings.TrimRight(strings.TrimSpace(inner), ",")
		edits = append(edits, edit{s.start, s.end, text})
	}
	return edits, nil
}
