// Reads alerts and dashboards as Prometheus does, and says what it would not take.
//
//	promql RULES.yaml… DASHBOARD.json…
//
// What Grafana puts in the place of a variable is put there by an example.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

type dashboard struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr string }
	}
}

func main() {
	failed := false
	for _, file := range os.Args[1:] {
		for _, err := range check(file) {
			failed = true
			fmt.Fprintf(os.Stderr, "promql: %s: %v\n", file, err)
		}
	}
	if failed || len(os.Args) == 1 {
		os.Exit(1)
	}
}

func check(file string) []error {
	if strings.HasSuffix(file, ".yaml") {
		_, errs := rulefmt.ParseFile(file, false, model.LegacyValidation)
		return errs
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return []error{err}
	}
	var read dashboard
	if err := json.Unmarshal(text, &read); err != nil {
		return []error{err}
	}
	if len(read.Panels) == 0 {
		return []error{fmt.Errorf("no panels")}
	}
	var errs []error
	for _, panel := range read.Panels {
		for _, target := range panel.Targets {
			example := strings.NewReplacer("$__rate_interval", "5m", "$namespace", "keyward").Replace(target.Expr)
			if _, err := parser.ParseExpr(example); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", panel.Title, err))
			}
		}
	}
	return errs
}
