package jmespath

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oneloop-dev/oneloop/tests/bounds"
)

// FuzzBudget feeds any expression over any data, Kyverno's functions included,
// for which there is no reference. An answer is JSON, the same one each time,
// and found within bounds; the data stay as they are.
func FuzzBudget(f *testing.F) {
	for _, fn := range Functions() {
		f.Add(fn.Name+"(a, b)", `{"a":"x1","b":[1,"2",null]}`)
		f.Add("a[*]."+fn.Name+"(@)", `{"a":["1Gi","1h",2,{"k":"v"}]}`)
	}
	for _, expr := range []string{
		"[@,@]|[@,@]|[@,@]|[@,@]|to_string(@)",
		"[@,@][]|[@,@][]|[@,@][]|length(@)",
		"replace_all(a,'','xxxxxxxx')|replace_all(@,'','xxxxxxxx')",
		"regex_replace_all('.', a, '$0$0$0')",
		"a[*].a[*].a[*]", "sum([].to_number(@))", "items(@,'k','v')[?k==v]", "parse_yaml(a)", "join(a, b)",
		"multiply('1Gi', `1e30`)", "divide('1h', '1ns')", "round(`1e300`, `300`)", "semver_compare(a, '>1 <2 || 3')",
		"time_add('2023-01-12T12:37:56Z', '6h')", "time_to_cron('2023-02-02T15:04:05Z')", "label_match(@, @)", "base64_decode(base64_encode(a))",
		"sort_by(a, &b)", "max_by(@, &@)", "a.*.*.*", "lookup(@, 'a')", "object_from_lists(keys(@), values(@)).*", "truncate(a, `-1`)",
	} {
		f.Add(expr, `{"a":"&a [*a]","b":[{"b":1},{"b":2}]}`)
	}
	env := Env{Now: func() time.Time { return time.Unix(1700000000, 0).UTC() }}
	f.Fuzz(func(t *testing.T, expr, data string) {
		var v, before any
		if json.Unmarshal([]byte(data), &v) != nil || json.Unmarshal([]byte(data), &before) != nil {
			return
		}
		v, before = integers(v), integers(before)
		bounds.Hold(t)
		q, err := Compile(expr)
		if err != nil {
			return
		}
		got, err := q.Search(v, env)
		again, errAgain := q.Search(v, env)
		if (err == nil) != (errAgain == nil) || !cmp.Equal(got, again) {
			t.Errorf("two answers: %v, %v; %v, %v", got, err, again, errAgain)
		}
		if !cmp.Equal(before, v) {
			t.Errorf("the data changed (-before +after):\n%s", cmp.Diff(before, v))
		}
		if err != nil {
			if got != nil && !absent(err) {
				t.Errorf("got %v with the error %v", got, err)
			}
			return
		}
		if _, err := json.Marshal(got); err != nil {
			t.Errorf("the answer is not JSON: %v", err)
		}
	})
}
