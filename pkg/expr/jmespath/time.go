package jmespath

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

var timeFunctions = []function{
	{name: "time_add", params: []kind{aString, aString}, result: aString, note: "the RFC 3339 time plus a duration such as '1h30m'", body: timeAdd},
	{name: "time_after", params: []kind{aString, aString}, boolean: true, note: "whether the first RFC 3339 time is later than the second", body: timeAfter},
	{name: "time_before", params: []kind{aString, aString}, boolean: true, note: "whether the first RFC 3339 time is earlier than the second", body: timeBefore},
	{name: "time_between", params: []kind{aString, aString, aString}, boolean: true, note: "whether the first RFC 3339 time lies between the other two", body: timeBetween},
	{name: "time_diff", params: []kind{aString, aString}, result: aString, note: "the duration from the first RFC 3339 time to the second", body: timeDiff},
	{name: "time_now", result: aString, note: "the time of the run in RFC 3339, in its time zone", body: timeNow},
	{name: "time_now_utc", result: aString, note: "the time of the run in RFC 3339, in UTC", body: timeNowUTC},
	{name: "time_parse", params: []kind{aString, aString}, result: aString, note: "the time in the given Go layout as RFC 3339; a number as layout means seconds since 1970", body: timeParse},
	{name: "time_since", params: []kind{aString, aString, aString}, result: aString, note: "the duration between two times in the given Go layout; '' means RFC 3339, '' as the second time means now", body: timeSince},
	{name: "time_to_cron", params: []kind{aString}, result: aString, note: "the RFC 3339 time as minute, hour, day, month and weekday", body: timeToCron},
	{name: "time_truncate", params: []kind{aString, aString}, result: aString, note: "the RFC 3339 time rounded down to a multiple of the duration", body: timeTruncate},
	{name: "time_utc", params: []kind{aString}, result: aString, note: "the RFC 3339 time in UTC", body: timeUTC},
}

var errNoClock = fmt.Errorf("it reads the clock, which would make the output differ from run to run; give the run a fixed time: %w", errors.ErrUnsupported)

func (r *run) now() (time.Time, error) {
	if r.env.Now == nil {
		return time.Time{}, errNoClock
	}
	return r.env.Now(), nil
}

// times reads all arguments as RFC 3339 times.
func times(args []any) ([]time.Time, error) {
	out := make([]time.Time, len(args))
	for i, a := range args {
		t, err := time.Parse(time.RFC3339, a.(string))
		if err != nil {
			return nil, fmt.Errorf("argument %d is not a time in RFC 3339: %w", i+1, err)
		}
		out[i] = t
	}
	return out, nil
}

// timeAndDuration reads an RFC 3339 time and a duration.
func timeAndDuration(args []any) (time.Time, time.Duration, error) {
	t, err := times(args[:1])
	if err != nil {
		return time.Time{}, 0, err
	}
	d, err := time.ParseDuration(args[1].(string))
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("argument 2 is not a duration such as 1h30m: %w", err)
	}
	return t[0], d, nil
}

func timeAdd(_ *run, args []any) (any, error) {
	t, d, err := timeAndDuration(args)
	if err != nil {
		return nil, err
	}
	return t.Add(d).Format(time.RFC3339), nil
}

func timeTruncate(_ *run, args []any) (any, error) {
	t, d, err := timeAndDuration(args)
	if err != nil {
		return nil, err
	}
	return t.Truncate(d).Format(time.RFC3339), nil
}

func timeAfter(_ *run, args []any) (any, error) {
	t, err := times(args)
	if err != nil {
		return nil, err
	}
	return t[0].After(t[1]), nil
}

func timeBefore(_ *run, args []any) (any, error) {
	t, err := times(args)
	if err != nil {
		return nil, err
	}
	return t[0].Before(t[1]), nil
}

func timeBetween(_ *run, args []any) (any, error) {
	t, err := times(args)
	if err != nil {
		return nil, err
	}
	return t[0].After(t[1]) && t[0].Before(t[2]), nil
}

func timeDiff(_ *run, args []any) (any, error) {
	t, err := times(args)
	if err != nil {
		return nil, err
	}
	return t[1].Sub(t[0]).String(), nil
}

func timeNow(r *run, _ []any) (any, error) {
	t, err := r.now()
	if err != nil {
		return nil, err
	}
	return t.Format(time.RFC3339), nil
}

func timeNowUTC(r *run, _ []any) (any, error) {
	t, err := r.now()
	if err != nil {
		return nil, err
	}
	return t.UTC().Format(time.RFC3339), nil
}

func timeParse(_ *run, args []any) (any, error) {
	layout, s := args[0].(string), args[1].(string)
	if _, err := strconv.ParseInt(layout, 10, 64); err == nil {
		seconds, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("argument 2 is not a number of seconds since 1970: %w", err)
		}
		return time.Unix(seconds, 0).UTC().Format(time.RFC3339), nil
	}
	t, err := time.Parse(layout, s)
	if err != nil {
		return nil, err
	}
	return t.Format(time.RFC3339), nil
}

func timeSince(r *run, args []any) (any, error) {
	layout, from, to := args[0].(string), args[1].(string), args[2].(string)
	if layout == "" {
		layout = time.RFC3339
	}
	start, err := time.Parse(layout, from)
	if err != nil {
		return nil, err
	}
	var end time.Time
	if to == "" {
		end, err = r.now()
	} else {
		end, err = time.Parse(layout, to)
	}
	if err != nil {
		return nil, err
	}
	return end.Sub(start).String(), nil
}

func timeToCron(_ *run, args []any) (any, error) {
	t, err := times(args)
	if err != nil {
		return nil, err
	}
	return fmt.Sprintf("%d %d %d %d %d", t[0].Minute(), t[0].Hour(), t[0].Day(), t[0].Month(), t[0].Weekday()), nil
}

func timeUTC(_ *run, args []any) (any, error) {
	t, err := times(args)
	if err != nil {
		return nil, err
	}
	return t[0].UTC().Format(time.RFC3339), nil
}
