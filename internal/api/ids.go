package api

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// plainInteger renders a JSON number as decimal digits: 1e3 becomes "1000". Fractions and numbers beyond 64 bits are errors;
// a number with a fraction or an exponent is read to a float's precision and must not lie beyond what that holds exactly.
func plainInteger(number json.Number) (string, error) {
	if n, err := strconv.ParseInt(number.String(), 10, 64); err == nil {
		return strconv.FormatInt(n, 10), nil
	}
	if len(number) > 64 {
		return "", fmt.Errorf("number of %d characters is no job id", len(number))
	}
	const exact = 1 << 53
	float, err := strconv.ParseFloat(number.String(), 64)
	mantissa, _, _ := strings.Cut(strings.ToLower(number.String()), "e")
	underflow := float == 0 && strings.ContainsAny(mantissa, "123456789")
	if err != nil || math.Abs(float) > exact || float != math.Trunc(float) || underflow {
		return "", fmt.Errorf("%s is no job id", number)
	}
	return strconv.FormatInt(int64(float), 10), nil
}

// ParseUID splits a job's UID at the first "-" into its id and its queue; the queue is empty for a plain id.
func ParseUID(uid string) (id int64, queue string, err error) {
	digits, queue, _ := strings.Cut(uid, "-")
	id, err = strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, "", fmt.Errorf("job uid %q does not begin with a decimal id", uid)
	}
	return id, queue, nil
}
