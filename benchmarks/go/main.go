// The benchmarks' goroutines: main NAME NUMBER..., or main version.
//
// Prints "cost outcome": what the work cost and what came of it; run with GOMAXPROCS=1.
// The best of a few rounds counts, in nanoseconds for one operation.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

const rounds = 3

// Each does its work once; returns how many operations that was, and the
// outcome.
var programs = map[string]func(numbers []int) (int, int){
	"switch":     switches,
	"channel":    messages,
	"create":     create,
	"threadring": threadring,
	"skynet":     skynet,
	"chameneos":  chameneos,
	"sieve":      sieve,
	"phold":      phold,
}

// When what is measured began, if that was not the program's beginning.
var begun time.Time

func main() {
	if os.Args[1] == "version" {
		fmt.Println(runtime.Version())
		return
	}
	numbers := []int{}
	for _, text := range os.Args[2:] {
		number, err := strconv.Atoi(text)
		if err != nil {
			panic(err)
		}
		numbers = append(numbers, number)
	}
	if os.Args[1] == "memory" {
		fmt.Println(memory(numbers), 0)
		return
	}
	best, outcome := 0.0, 0
	for round := 0; round < rounds; round++ {
		begun = time.Now()
		operations, result := programs[os.Args[1]](numbers)
		cost := float64(time.Since(begun)) / float64(operations)
		if round == 0 || cost < best {
			best = cost
		}
		outcome = result
	}
	fmt.Println(best, outcome)
}
