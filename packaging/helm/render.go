// Renders the templates of a chart as `helm template` does, as far as this chart needs it, where helm cannot be had: Go's own
// templates with sprig's functions, and toYaml. Arguments: the directory of the chart, and settings such as replicas=1.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(path string) map[string]interface{} {
	text, err := os.ReadFile(path)
	check(err)
	values := map[string]interface{}{}
	check(yaml.Unmarshal(text, &values))
	return values
}

func set(values map[string]interface{}, setting string) {
	name, text, _ := strings.Cut(setting, "=")
	keys := strings.Split(name, ".")
	for _, key := range keys[:len(keys)-1] {
		values = values[key].(map[string]interface{})
	}
	var value interface{}
	check(yaml.Unmarshal([]byte(text), &value))
	values[keys[len(keys)-1]] = value
}

func main() {
	dir := os.Args[1]
	chart, values := read(filepath.Join(dir, "Chart.yaml")), read(filepath.Join(dir, "values.yaml"))
	for _, setting := range os.Args[2:] {
		set(values, setting)
	}
	functions := sprig.TxtFuncMap()
	functions["toYaml"] = func(value interface{}) string {
		text, err := yaml.Marshal(value)
		check(err)
		return strings.TrimSuffix(string(text), "\n")
	}
	data := map[string]interface{}{
		"Values":  values,
		"Chart":   map[string]interface{}{"AppVersion": chart["appVersion"], "Name": chart["name"]},
		"Release": map[string]interface{}{"Name": "trial", "Namespace": "default"},
	}
	files, err := filepath.Glob(filepath.Join(dir, "templates", "*.yaml"))
	check(err)
	sort.Strings(files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(err)
		parsed, err := template.New(filepath.Base(file)).Option("missingkey=error").Funcs(functions).Parse(string(text))
		check(err)
		var output bytes.Buffer
		check(parsed.Execute(&output, data))
		if strings.TrimSpace(output.String()) != "" {
			fmt.Printf("---\n%s\n", strings.TrimSpace(output.String()))
		}
	}
}
